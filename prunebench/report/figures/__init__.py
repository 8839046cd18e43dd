"""The figures of an experiment, drawn from its cells alone, as PNG and PDF; never with torch.

The file is the registration: ``write`` draws every function of this folder that is marked with
``figure``, and skips figures whose columns are empty. seaborn and matplotlib take seconds to
import, so they are imported inside functions.
"""

from __future__ import annotations

import importlib
import pkgutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import error_names
from prunebench.report.figures import figure_registry, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import TASK, styled
from prunebench.storage.files import replacing
from prunebench.storage.records import DENSE
from prunebench.text.progress_bars import watched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "pdf")
FOREST = "forest"
ERROR = "error-compression-{task}"
LABEL = 30  # characters of a line that any axis has room for

__all__ = [
    "ERROR", "FOREST", "KINDS", "TASK", "captions", "draw", "draw_forest", "figures", "save",
    "with_error_names", "write",
]  # fmt: skip


def figures() -> dict[str, figure_registry.FigureSpec]:
    """Return all figures that the files of this folder register, by stem, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [
        v for m in modules for v in vars(m).values() if isinstance(v, figure_registry.FigureSpec)
    ]
    return {each.stem: each for each in sorted(found, key=lambda each: each.stem)}


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis | None = None,
    layers: pd.DataFrame | None = None, highlight: Sequence[str] = (),
) -> list[Path]:  # fmt: skip
    """Draw every figure that has data, as ``<stem>.png`` and ``<stem>.pdf``.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        folder: where the files go.
        analysis: how the records are judged; None means the defaults.
        layers: the rows of layers.csv; None where there are none.
        highlight: the methods that stand out.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    context = FigureContext.of(cells, analysis, layers=layers, highlight=highlight)
    written = []
    for each in watched(figures().values(), "figures"):
        for name, table in each.tables(context.cells):
            drawn = each.draw(table, context)
            if drawn is not None:
                written += save(with_error_names(drawn, context.cells), folder, name)
    return written


def draw(
    stem: str, cells: pd.DataFrame, analysis: Analysis | None = None, baseline: str = DENSE,
    highlight: Sequence[str] = (),
) -> Figure | None:  # fmt: skip
    """Draw one figure.

    Args:
        stem: the figure's stem, with ``{task}`` where each task has its own figure.
        cells: the records; of one task where the stem holds ``{task}``.
        analysis: how the records are judged; None means the defaults.
        baseline: the method that the others are compared with.
        highlight: the methods that stand out.

    Returns:
        The figure, or None where the cells lack what it shows.

    Raises:
        KeyError: there is no figure of this stem.
    """
    context = FigureContext.of(cells, analysis, baseline, highlight=highlight)
    return figures()[stem].draw(context.cells, context)


def draw_forest(
    cells: pd.DataFrame, baseline: str = DENSE, analysis: Analysis | None = None
) -> Figure:
    """Draw the scores with their intervals, over everything and over each regime.

    Args:
        cells: the records.
        baseline: the method that the others are compared with.
        analysis: how the records are judged; None means the defaults.

    Returns:
        The figure.

    Raises:
        ValueError: the cells hold the baseline alone.
    """
    drawn = draw(FOREST, cells, analysis, baseline)
    if drawn is None:
        raise ValueError("a forest needs a method beside the baseline")
    return drawn


def captions(cells: pd.DataFrame) -> dict[str, str]:
    """Return each figure's caption, by the stem of its files."""
    found = {name: each.caption for each in figures().values() for name, _ in each.tables(cells)}
    return error_names.all_named(found, cells)


def with_error_names(figure: Figure, cells: pd.DataFrame) -> Figure:
    """Return a figure whose errors have the name of their kind of task."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        before = text.get_text()
        after = error_names.named(before, cells)
        if after != before:
            text.set_text(_as_wide(after, before))
    return figure


def _as_wide(text: str, before: str) -> str:
    """Return a text in lines no longer than those of the one whose place it takes, or a label."""
    widest = max(LABEL, *map(len, before.splitlines()))
    lines = (textwrap.wrap(line, widest, break_long_words=False) for line in text.splitlines())
    return "\n".join(part for wrapped in lines for part in wrapped)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and PDF, without a date, so that the same records give the same bits.

    Args:
        figure: the drawn figure.
        folder: where the files go.
        name: the stem of the files.

    Returns:
        The paths that were written.
    """
    paths = []
    for kind in KINDS:
        paths.append(folder / f"{name}.{kind}")
        metadata: dict[str, Any] = {"Software": None} if kind == "png" else {"CreationDate": None}
        with replacing(paths[-1]) as temporary, styled():
            figure.savefig(temporary, format=kind, dpi=style.DPI, metadata=metadata)
    return paths
