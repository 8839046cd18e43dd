"""Judge runs of published experiments: does the published figure lie where one's own runs lie?

An anchor is a configuration with the authors' settings, ``x.yaml``, and beside it the figures that
they published, ``x.published.csv``: a row for each, in per cent of top-1 test accuracy. A figure is
of a sparsity, or of a theoretical speed-up where the authors say how many fewer
multiply-accumulates their network needs; between two of one's own sparsities its accuracy is then
read off by interpolation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Experiment
from prunebench.experiment.settings.names import Name
from prunebench.experiment.validation import Settings, validated
from prunebench.published.read_foreign import read_text_table
from prunebench.statistics import read_cells
from prunebench.statistics.bootstrap import t_quantile
from prunebench.storage.files import write_text
from prunebench.storage.records import DENSE, FAILED_TO_TRAIN, OK
from prunebench.text.markup import markdown_rows
from prunebench.text.numbers import number, percent

INSIDE, OUTSIDE, TOO_WIDE, NOT_RUN = "inside", "outside", "too wide", "not run"
PUBLISHED = ".published.csv"
NEAR = 1.02  # two compressions that differ by less are the same point
# the variance of the median of a few normal draws over that of their mean; for three exactly 1.346
MEDIAN = 1.35


class PublishedFigure(Settings):
    """A figure that others published: a cell of theirs, over ``runs`` runs."""

    task: Name
    regime: Name
    model: Name
    method: Name
    sparsity: float | None = Field(None, ge=0, lt=1)
    """Share of the prunable weights that is removed; 0 for the dense network."""
    speedup: float | None = Field(None, gt=1)
    """Multiply-accumulates of the dense network over those that are left."""
    accuracy: float = Field(gt=1, le=100)
    """Top-1 test accuracy in per cent."""
    statistic: Literal["mean", "median"] = "mean"
    """What it is of the runs."""
    runs: int = Field(gt=0)
    """How many runs it stands on."""
    note: str = ""
    """What a reader must know to compare it."""

    @model_validator(mode="after")
    def _one_point(self) -> PublishedFigure:
        if (self.sparsity is None) == (self.speedup is None):
            raise ValueError("sparsity and speedup: give one of the two")
        return self

    @property
    def point(self) -> str:
        """Its place on the curve, as a reader sees it."""
        return f"{self.speedup:g}× MACs" if self.speedup else percent(self.sparsity or 0.0)

    @property
    def worth(self) -> float:
        """How many runs' mean varies as much as this figure does."""
        return self.runs / MEDIAN if self.statistic == "median" and self.runs > 2 else self.runs


@dataclass(frozen=True)
class Judgement:
    """A published figure beside one's own runs; accuracies and differences in points."""

    anchor: str
    task: str
    regime: str
    model: str
    method: str
    point: str
    published: float
    statistic: str
    runs: int
    own: float  # the mean over seeds
    deviation: float  # the standard deviation over seeds
    seeds: int
    left_out: int  # seeds that failed or did not reach the point
    low: float  # where the published figure would lie in 95 of 100 cases, were all else the same
    high: float
    difference: float  # own − published
    verdict: str
    compression: float  # achieved, of the prunable weights; the mean over seeds
    speedup: float  # achieved
    note: str


def read_figures(path: Path, experiment: Experiment) -> list[PublishedFigure]:
    """Read the published figures beside a configuration.

    Args:
        path: The CSV file; its columns are the fields of PublishedFigure.
        experiment: The configuration, which must have every task, regime, model and method named.

    Raises:
        PrunebenchError: The file is missing, a value cannot be right, or a name is not in the
            configuration, with the line.
    """
    table = read_text_table(path)
    figures = []
    for line, fields in table.rows:
        where = f"{path} line {line}"
        given = {k: v for k, v in zip(table.header, fields, strict=True) if v}
        figure: PublishedFigure = validated(PublishedFigure, given, where)
        known = {
            "task": [task.name for task in experiment.tasks],
            "regime": [regime.name for regime in experiment.regimes],
            "model": [model.name for model in experiment.models],
            "method": [DENSE, *(method.name for method in experiment.methods)],
        }
        for column, names in known.items():
            name = getattr(figure, column)
            if name not in names:
                raise PrunebenchError(
                    f"{where}: {column} {name} is not in the configuration{suggest(name, names)}"
                )
        figures.append(figure)
    return figures


def judge(
    anchor: str, figures: Sequence[PublishedFigure], cells: pd.DataFrame | None, widest: float
) -> list[Judgement]:
    """Judge every published figure against the cells of its anchor.

    Args:
        anchor: The name of the experiment.
        figures: What was published.
        cells: Checked cells of one's own runs; None: there are none yet.
        widest: Half of the widest interval, in points, inside which a figure says something.

    Returns:
        A judgement for each figure. The interval is where the mean of as many further runs as were
        published would lie: own mean ± t · s · √(1/n + 1/m), with s and t of one's own n seeds and
        m the published runs (Hahn and Meeker 1991). ``outside``: the figure does not. ``inside``:
        it does, and the interval is narrow enough. ``too wide``: it does, but so would much else,
        or there is one seed only. ``not run``: no seed reached the point.
    """
    return [_judged(anchor, figure, cells, widest) for figure in figures]


def half_width(spread: float, n: int, further: float) -> float:
    """Return half of the 95 % interval for the mean of further runs, NaN for fewer than two.

    Args:
        spread: The standard deviation of one's own runs.
        n: How many those are.
        further: How many runs the other mean is of.
    """
    if n < 2:
        return math.nan
    return float(t_quantile(np.array(n - 1))) * spread * math.sqrt(1 / n + 1 / further)


def _judged(
    anchor: str, figure: PublishedFigure, cells: pd.DataFrame | None, widest: float
) -> Judgement:
    points, there = _own(figure, cells)
    values = points["accuracy"].to_numpy(float)
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    spread = float(values.std(ddof=1)) if n > 1 else math.nan
    half = half_width(spread, n, figure.worth)
    far = abs(mean - figure.accuracy)
    if not n:
        verdict = NOT_RUN
    elif far > half:
        verdict = OUTSIDE
    else:
        verdict = INSIDE if half <= widest else TOO_WIDE
    return Judgement(
        anchor, figure.task, figure.regime, figure.model, figure.method, figure.point,
        figure.accuracy, figure.statistic, figure.runs, mean, spread, n, there - n, mean - half,
        mean + half, mean - figure.accuracy, verdict, float(points["compression"].mean()),
        float(points["speedup"].mean()), figure.note,
    )  # fmt: skip


def _own(figure: PublishedFigure, cells: pd.DataFrame | None) -> tuple[pd.DataFrame, int]:
    """Return one's own runs at a figure's point, a row a seed, and how many seeds there are."""
    empty = pd.DataFrame(columns=["accuracy", "compression", "speedup"], dtype=float)
    if cells is None:
        return empty, 0
    setting = cells[["task", "regime", "model"]] == [figure.task, figure.regime, figure.model]
    own = cells[setting.all(axis=1)]
    seeds = own["seed"].nunique()
    trained = (own["status"] == OK) & (own["training_outcome"] != FAILED_TO_TRAIN)
    own = own[(own["method"] == figure.method) & trained]
    achieved = own["sparsity_achieved"].fillna(own["sparsity"])
    own = own.assign(
        accuracy=100 * (1 - own["test_error"]), compression=1 / (1 - achieved),
        speedup=own["theoretical_speedup"],
    )  # fmt: skip
    find = _at_speedup if figure.speedup else _at_sparsity
    rows = [find(figure, curve) for _, curve in own.groupby("seed", sort=True)]
    found = [row for row in rows if row is not None]
    return (pd.DataFrame(found) if found else empty), seeds


def _at_sparsity(figure: PublishedFigure, curve: pd.DataFrame) -> dict[str, float] | None:
    """Return the cell of a seed whose achieved compression is that of the figure, if any."""
    wanted = 1 / (1 - (figure.sparsity or 0.0))
    far = np.log(curve["compression"] / wanted).abs()
    if not far.min() <= math.log(NEAR):
        return None
    return {key: float(curve.loc[far.idxmin(), key]) for key in _MEASURED}


def _at_speedup(figure: PublishedFigure, curve: pd.DataFrame) -> dict[str, float] | None:
    """Interpolate a seed's cells over the logarithm of the achieved speed-up; None outside."""
    curve = curve[curve["speedup"].notna()].sort_values("speedup")
    wanted = figure.speedup or 1.0
    if curve.empty or not curve["speedup"].iloc[0] <= wanted <= curve["speedup"].iloc[-1]:
        return None
    octaves = np.log2(curve["speedup"].to_numpy(float))
    return {
        key: float(np.interp(math.log2(wanted), octaves, curve[key].to_numpy(float)))
        for key in ("accuracy", "compression")
    } | {"speedup": wanted}


_MEASURED = ("accuracy", "compression", "speedup")


def judge_folder(folder: Path, results: Path) -> list[Judgement]:
    """Judge every anchor of a folder, in alphabetical order.

    Args:
        folder: Configurations, each with its published figures beside it.
        results: The folder that holds a folder for each experiment. Anchors that were not run yet
            are judged as that.

    Raises:
        PrunebenchError: There is no anchor, or a file of one is wrong.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise PrunebenchError(f"{folder} holds no configuration of an anchor (*.yaml)")
    found: list[Judgement] = []
    for path in paths:
        experiment = config.load(path)
        figures = read_figures(path.with_suffix(PUBLISHED), experiment)
        layout = Plan(experiment, results).layout
        cells = read_cells(layout.cells_csv) if layout.cells_csv.is_file() else None
        found += judge(experiment.experiment, figures, cells, experiment.analysis.equivalence)
    return found


def table(found: Sequence[Judgement]) -> pd.DataFrame:
    """Return the judgements as a table, a row each; unknown numbers are NaN."""
    return pd.DataFrame([asdict(each) for each in found])


def markdown(found: Sequence[Judgement]) -> str:
    """Return the judgements as Markdown: what was published, what was found, and the verdict."""
    header = ["anchor", "method", "at", "published", "own", "interval", "difference", "verdict",
              "seeds", "achieved", "of the published figure"]  # fmt: skip
    rows = [
        [
            each.anchor, each.method, each.point, number(each.published),
            f"{number(each.own)} ± {number(each.deviation)}",
            f"{number(each.low)} to {number(each.high)}", number(each.difference, sign=True),
            each.verdict, f"{each.seeds} of {each.seeds + each.left_out}", _achieved(each),
            f"{each.statistic} of {each.runs}{'; ' if each.note else ''}{each.note}",
        ]
        for each in found
    ]  # fmt: skip
    lines = [
        "# Published figures, run again\n",
        "Top-1 test accuracy in per cent. The interval is where the mean of as many further runs as"
        " were published would lie in 95 of 100 cases. `outside`: the published figure does not."
        " `too wide`: it does, but the interval is wider than the experiment declares as"
        " practically equivalent.\n",
        markdown_rows(header, rows, right_from=3),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _achieved(each: Judgement) -> str:
    return f"{number(each.compression, 1)}× weights, {number(each.speedup, 2)}× MACs"


def write(found: Sequence[Judgement], output: Path) -> list[Path]:
    """Write ``anchors.csv`` and ``anchors.md`` into a folder; return their paths."""
    output.mkdir(parents=True, exist_ok=True)
    paths = [output / f"anchors.{kind}" for kind in ("csv", "md")]
    write_text(paths[0], table(found).to_csv(index=False, lineterminator="\n"))
    write_text(paths[1], markdown(found))
    return paths


def as_json(found: Sequence[Judgement]) -> str:
    """Return the judgements as JSON, an object each; unknown numbers are null."""
    rows = json.loads(table(found).to_json(orient="records", double_precision=15))
    return json.dumps(rows, indent=1, ensure_ascii=False)


def contradicted(found: Sequence[Judgement]) -> bool:
    """Return whether a published figure lies outside of what one's own runs say."""
    return any(each.verdict == OUTSIDE for each in found)
