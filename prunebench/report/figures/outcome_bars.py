"""How trainings ended: the shares of each outcome, by method and regime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics.outcome_shares import LEARNED, LOST, PLATEAU, UNKNOWN, outcome_shares
from prunebench.statistics.recovery_lengths import in_order
from prunebench.statistics.training_outcomes import OUTCOME
from prunebench.storage.records import FAILED_TO_TRAIN, STOPPED, UNDER_TRAINED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.15  # inches a method
NAMES = 0.5  # of a column's width, at most for the methods' names
# kind -> its name in the legend, its colour, and the hatch that tells it apart in grey print
SHARES = {
    LEARNED: ("trained out: knows its labels", "#0173b2", ""),
    PLATEAU: ("trained out: plateau above 1 %", "#9cc9e8", ""),
    UNDER_TRAINED: ("under-trained", "#f0b45c", "////"),
    FAILED_TO_TRAIN: ("failed to train", "#b03a00", ""),
    LOST: ("diverged, collapsed, failed", "#3d0f00", "...."),
    STOPPED: ("a state that stopping chose", "#c9c9c9", ""),
    UNKNOWN: ("not recorded", "#ffffff", ""),
}


@figure(
    "training-outcomes-{task}",
    "How the trainings of each method's cells ended, as shares of its cells over seeds and"
    " sparsities, a panel a regime (and model). Trained out: the training error on the labels"
    " trained on is at most 1 %, or stands on a plateau above (the loss no longer falls): too small"
    " to learn its labels. Under-trained: the loss still fell; a gain there may be one of training"
    " too short. Failed to train: far from its labels although it had the weights to learn them.",
    lengths=True,
)
def training_outcomes(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a stacked bar for each method, dense first, then controls, then candidates."""
    if cells[OUTCOME].isna().all():
        return None
    found = outcome_shares(cells)
    settings = context.settings(found)
    there = set(found["method"])
    names = [context.baseline] if context.baseline in there else []
    for group in (context.controls, context.candidates):
        names += in_order(cells, there & set(group))
    kinds = [kind for kind in SHARES if found[kind].sum()]
    lines, across = panels.grid_shape(settings)
    grid = panels.PanelGrid(
        f"How trainings ended: {panels.place_of(found, settings)}",
        lines, min(across, len(settings)), {}, height=0.42 + ROW * len(names), sharey=True,
    )  # fmt: skip
    for axes, setting in zip(grid.used(len(settings)), settings, strict=True):
        _bars(axes, panels.rows_of(found, setting).set_index("method"), names, kinds)
        axes.set_title(panels.title_of(setting, settings))
    for axes in grid.panels[:, 0]:  # the others share their names
        panels.stand_out(axes.get_yticklabels(), names, context)
    return _finish(grid, kinds)


def _bars(axes: Axes, rows: pd.DataFrame, names: list[str], kinds: list[str]) -> None:
    left = pd.Series(0.0, index=names)
    for kind in kinds:
        _, colour, hatch = SHARES[kind]
        share = (100 * rows[kind] / rows["cells"]).reindex(names).fillna(0.0)
        axes.barh(range(len(names)), share, left=left, color=colour, hatch=hatch, height=0.78,
                  edgecolor=style.BLACK if hatch or kind == UNKNOWN else colour,
                  linewidth=0.3)  # fmt: skip
        left = left + share
    room, size = 72 * NAMES * panels.width_of(1), style.RC["ytick.labelsize"]
    axes.set_yticks(range(len(names)), [panels.shortened(name, room, size) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.grid(visible=False, axis="y")


def _finish(grid: panels.PanelGrid, kinds: list[str]) -> Figure:
    """Label the lowest panels and draw the legend of the bars."""
    from matplotlib.patches import Patch

    for axes in grid.lowest:
        axes.set_xlabel("share of cells (%)")
    grid.wrap_titles()
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=style.BLACK, linewidth=0.3, label=name)
        for name, colour, hatch in (SHARES[kind] for kind in kinds)
    ]
    said = [SHARES[kind][0] for kind in kinds]
    columns = panels.legend_columns(said, grid.figure.get_figwidth(), 0.62)
    grid.figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    grid.figure.set_figheight(grid.figure.get_figheight() + panels.LINE * -(-len(kinds) // columns))
    return grid.figure
