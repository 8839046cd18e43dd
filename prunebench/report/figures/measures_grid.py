"""Several measures against compression: a row for each regime, a column for each measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebench.report.figures import panels
from prunebench.report.figures.figure_context import FigureContext, measured, points
from prunebench.report.figures.figure_registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PanelMeasure:
    """A column of the record as a panel shows it, in per cent or points."""

    column: str
    label: str
    limits: tuple[float, float] = (0, 100)
    below: str = ""  # a column drawn downwards from 0 in the same panel
    instead: str = ""  # of a column that is empty, with its own label
    instead_label: str = ""


FIT = (
    PanelMeasure("train_error", "training error (%)"),
    PanelMeasure("test_error", "test error (%)"),
    PanelMeasure("generalization_gap", "test − training\nerror (points)", (-100, 100)),
)
MEMORY = (
    PanelMeasure("memorized", "wrong labels\nmemorized (%)"),
    PanelMeasure("recovered", "true labels\nrecovered (%)"),
)
HARM = (
    PanelMeasure(
        "flips_to_wrong", "flips (% of test):\n↓ to right · to wrong ↑", (-100, 100),
        below="flips_to_right", instead="flips", instead_label="flips (% of test)",
    ),
    PanelMeasure("worst_class_change", "worst class's error\nagainst dense (points)", (-100, 100)),
    PanelMeasure("corrupted_error", "error under\ncorruptions (%)"),
    PanelMeasure(
        "test_overconfidence", "confidence −\naccuracy (points)", (-100, 100),
        instead="test_ece", instead_label="calibration\nerror (points)",
    ),
)  # fmt: skip
ROW = " Curves: methods{bands}; grey: controls{grey}; black lines: dense networks."


@figure(
    "train-test-gap-{task}",
    "Training error (against the labels trained on, wrong ones included), test error, and their"
    " difference, against compression, a row a regime (and model)." + ROW,
)
def train_test_gap(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw training error, test error and their difference."""
    return _draw("Training error, test error and their gap", FIT, cells, context)


@figure(
    "memorized-recovered-{task}",
    "Of the mislabelled training samples: the share whose wrong label the network reproduces, and"
    " the share whose true label it predicts, against compression, a row a noisy regime (and"
    " model)." + ROW,
)
def memorized_recovered(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw memorized and recovered labels, for regimes with wrong labels alone."""
    noisy = cells.groupby(["regime", "model"])["memorized"].transform("count") > 0
    return _draw("Wrong labels memorized and recovered", MEMORY, cells[noisy], context)


@figure(
    "harm-{task}",
    "What an equal test error hides, against compression, a row a regime (and model): test"
    " predictions that flipped against the dense baseline of the same seed, from right to wrong"
    " upwards and from wrong to right downwards; the change of the worst class's error; the error"
    " under seeded corruptions; the calibration, mean confidence minus accuracy." + ROW,
)
def harm(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw the measures of harm that were recorded."""
    return _draw("What equal error hides: flips, worst class, corruption, calibration",
                 HARM, cells, context)  # fmt: skip


def _draw(
    title: str, measures: tuple[PanelMeasure, ...], cells: pd.DataFrame, context: FigureContext
) -> Figure | None:
    shown = [found for each in measures if (found := _shown_measure(each, cells)) is not None]
    if not shown:
        return None
    columns = [column for each in shown for column in (each.column, each.below) if column]
    rows = points(cells, columns)
    settings = context.settings(rows)
    grid = panels.PanelGrid(
        f"{title}: {panels.place_of(rows, settings)}", len(settings), len(shown),
        panels.styles_of(rows, context),
        panels.legend_notes(rows, context, "controls may leave a panel"), height=1.45, sharex=True,
    )  # fmt: skip
    errors = []
    for setting, line in zip(settings, grid.panels, strict=True):
        for axes, measure in zip(line, shown, strict=True):
            drawn = _panel(axes, measure, panels.rows_of(rows, setting), context)
            if measure.column == "test_error":
                errors.append((axes, drawn["mean"]))
        line[0].set_title(panels.title_of(setting, settings), loc="left", fontweight="bold")
    if panels.error_axes(errors):
        for axes, _ in errors:
            axes.set_ylabel(axes.get_ylabel().replace(" (%", "\n(%, log scale"))
    panels.ratio_axis(grid.panels.flat, rows, ticks=4 if len(shown) > panels.ACROSS else 5)
    return grid.finish(panels.COMPRESSION)


def _shown_measure(measure: PanelMeasure, cells: pd.DataFrame) -> PanelMeasure | None:
    """Return the measure, or its replacement where its column is empty, or None where both are."""
    if measured(cells, measure.column):
        return measure
    if measure.instead and measured(cells, measure.instead):
        return PanelMeasure(measure.instead, measure.instead_label, (0, 100))
    return None


def _panel(
    axes: Axes, measure: PanelMeasure, rows: pd.DataFrame, context: FigureContext
) -> pd.DataFrame:
    drawn = panels.curves(axes, rows, measure.column, context.styles, 100, measure.limits)
    axes.set_ylabel(measure.label)
    if measure.below:
        down = panels.curves(axes, rows, measure.below, context.styles, -100, measure.limits)
        drawn = pd.concat([drawn, down])
        _mirrored(axes)
    panels.value_axis(axes, drawn, [*context.candidates, *context.levels])
    if measure.below or measure.limits[0] < 0:
        axes.axhline(0, color="0.5", linewidth=0.6, zorder=1.1)
    return drawn


def _mirrored(axes: Axes) -> None:
    """Write values below 0 without their sign."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{np.abs(value):g}"))
