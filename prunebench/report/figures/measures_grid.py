"""Several measures against compression: a row a regime, a column a measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebench.report.figures import panels
from prunebench.report.figures.figure_context import Scene, measured, points
from prunebench.report.figures.figure_registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Measure:
    """A column of the record as a panel shows it, in per cent or points."""

    column: str
    label: str
    limits: tuple[float, float] = (0, 100)
    below: str = ""  # a column drawn downwards from 0 in the same panel
    instead: str = ""  # of a column that is empty, with its own label
    instead_label: str = ""


FIT = (
    Measure("train_error", "training error (%)"),
    Measure("test_error", "test error (%)"),
    Measure("generalization_gap", "test − training\nerror (points)", (-100, 100)),
)
MEMORY = (
    Measure("memorized", "wrong labels\nmemorized (%)"),
    Measure("recovered", "true labels\nrecovered (%)"),
)
HARM = (
    Measure(
        "flips_to_wrong", "flips (% of test):\n↓ to right · to wrong ↑", (-100, 100),
        below="flips_to_right", instead="flips", instead_label="flips (% of test)",
    ),
    Measure("worst_class_change", "worst class's error\nagainst dense (points)", (-100, 100)),
    Measure("corrupted_error", "error under\ncorruptions (%)"),
    Measure(
        "test_overconfidence", "confidence −\naccuracy (points)", (-100, 100),
        instead="test_ece", instead_label="calibration\nerror (points)",
    ),
)  # fmt: skip
ROW = " Curves: methods, with 95 % bands over seeds; grey: controls; black lines: dense networks."


@figure(
    "train-test-gap-{task}",
    "Training error (against the labels trained on, wrong ones included), test error, and their"
    " difference, against compression, a row a regime (and model)." + ROW,
)
def train_test_gap(cells: pd.DataFrame, scene: Scene) -> Figure | None:
    """Where the network stops to fit, and what the test error does there."""
    return _draw("Training error, test error and their gap", FIT, cells, scene)


@figure(
    "memorized-recovered-{task}",
    "Of the mislabelled training samples: the share whose wrong label the network reproduces, and"
    " the share whose true label it predicts, against compression, a row a noisy regime (and"
    " model)." + ROW,
)
def memorized_recovered(cells: pd.DataFrame, scene: Scene) -> Figure | None:
    """Only regimes with wrong labels."""
    noisy = cells.groupby(["regime", "model"])["memorized"].transform("count") > 0
    return _draw("Wrong labels memorized and recovered", MEMORY, cells[noisy], scene)


@figure(
    "harm-{task}",
    "What an equal test error hides, against compression, a row a regime (and model): test"
    " predictions that flipped against the dense baseline of the same seed, from right to wrong"
    " upwards and from wrong to right downwards; the change of the worst class's error; the error"
    " under seeded corruptions; the calibration, mean confidence minus accuracy." + ROW,
)
def harm(cells: pd.DataFrame, scene: Scene) -> Figure | None:
    """What is empty is left out; what the test error says stands in other figures."""
    return _draw("What equal error hides: flips, worst class, corruption, calibration",
                 HARM, cells, scene)  # fmt: skip


def _draw(
    title: str, measures: tuple[Measure, ...], cells: pd.DataFrame, scene: Scene
) -> Figure | None:
    shown = [found for each in measures if (found := _there(each, cells)) is not None]
    if not shown:
        return None
    columns = [column for each in shown for column in (each.column, each.below) if column]
    rows = points(cells, columns)
    settings = scene.settings(rows)
    sheet = panels.Sheet(
        f"{title}: {panels.on(rows, settings)}", len(settings), len(shown),
        panels.looks_of(rows, scene), panels.notes(rows, scene, "controls may leave a panel"),
        height=1.45, sharex=True,
    )  # fmt: skip
    for setting, line in zip(settings, sheet.panels, strict=True):
        for axes, measure in zip(line, shown, strict=True):
            _panel(axes, measure, panels.inside(rows, setting), scene)
        line[0].set_title(panels.named(setting, settings), loc="left", fontweight="bold")
    panels.ratio_axis(sheet.panels.flat, rows, ticks=4 if len(shown) > panels.ACROSS else 5)
    return sheet.finish(panels.COMPRESSION)


def _there(measure: Measure, cells: pd.DataFrame) -> Measure | None:
    """The measure, or what stands in its place, or None where both are empty."""
    if measured(cells, measure.column):
        return measure
    if measure.instead and measured(cells, measure.instead):
        return Measure(measure.instead, measure.instead_label, (0, 100))
    return None


def _panel(axes: Axes, measure: Measure, rows: pd.DataFrame, scene: Scene) -> None:
    drawn = panels.curves(axes, rows, measure.column, scene.looks, 100, measure.limits)
    axes.set_ylabel(measure.label)
    if measure.below:
        down = panels.curves(axes, rows, measure.below, scene.looks, -100, measure.limits)
        drawn = pd.concat([drawn, down])
        _mirrored(axes)
    if measure.column == "test_error" and panels.error_axis(axes, drawn["mean"]):
        axes.set_ylabel(measure.label.replace(" (%", "\n(%, log scale"))
    else:
        panels.value_axis(axes, drawn, [*scene.candidates, *scene.levels])
    if measure.below or measure.limits[0] < 0:
        axes.axhline(0, color="0.5", linewidth=0.6, zorder=1.1)


def _mirrored(axes: Axes) -> None:
    """Write what points downwards without its sign."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{np.abs(value):g}"))
