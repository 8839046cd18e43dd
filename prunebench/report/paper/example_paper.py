"""paper.tex: an example of two pages, made of an experiment's tables, figures and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from prunebench.report.figures import ERROR, one_column
from prunebench.report.paper.macros import key
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables.paper_tables import label
from prunebench.statistics import SETTING
from prunebench.statistics.published_results import own
from prunebench.text.markup import latex_text

if TYPE_CHECKING:
    from jinja2 import Environment

WIDE = "train-test-gap-{task}"  # of one setting it is one row of panels, as wide as a page
Setting = tuple[str, str, str]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # LaTeX has braces of its own; what goes in is escaped below
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=False,  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        block_start_string="<%", block_end_string="%>",
        variable_start_string="<<", variable_end_string=">>",
        comment_start_string="<#", comment_end_string="#>",
    )  # fmt: skip


def setting_of(cells: pd.DataFrame) -> Setting:
    """Return the example's setting: most noise, then most training samples, then by name."""
    means = own(cells).groupby(SETTING, sort=True)[["label_noise", "train_samples"]].max()
    means = means.astype("float64").fillna(0)
    ordered = means.sort_values(["label_noise", "train_samples"], ascending=False, kind="stable")
    task, regime, model = ordered.index[0]
    return str(task), str(regime), str(model)


def stems(setting: Setting) -> tuple[str, str]:
    """Return the names of the example's figure of one column and of its figure of a page."""
    narrow, wide = one_column.stem_of(ERROR, *setting), one_column.stem_of(WIDE, *setting)
    return narrow, f"{wide}-page"


def text(inputs: ReportInputs, numbers: Mapping[str, str], folder: Path) -> str:
    """Return the paper; a figure or table that is not there is left out.

    Args:
        inputs: the experiment.
        numbers: the keys of macros.tex with their texts.
        folder: the folder of the paper, which holds figures/.
    """
    cells = own(inputs.cells)
    setting = setting_of(cells)
    narrow, wide = (folder / "figures" / f"{stem}.pdf" for stem in stems(setting))
    table = label("test_error", setting)
    name = key(*setting)
    return _environment().get_template("paper.tex.j2").render(
        experiment=latex_text(str(cells["experiment"].iloc[0])),
        setting=name,
        **dict(zip(SETTING, map(latex_text, setting), strict=True)),
        highlighted=bool(inputs.experiment and inputs.experiment.report.highlight),
        tasks=cells["task"].nunique(),
        regimes=cells["regime"].nunique(),
        best=f"{name}/best/method" in numbers,
        column=f"figures/{narrow.name}" if narrow.is_file() else "",
        page=f"figures/{wide.name}" if wide.is_file() else "",
        scores=(inputs.layout.tables / "scores.tex").is_file(),
        table=table if (inputs.layout.tables / f"{table}.tex").is_file() else "",
    )  # fmt: skip
