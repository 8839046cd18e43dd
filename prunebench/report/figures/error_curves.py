"""Test error against compression, with the phases of sparse double descent, and against MACs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext, measured, points
from prunebench.report.figures.figure_registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ERROR, STOPPED = "test_error", "stopped_test_error"
# what He 2022 calls the phases, by what the statistics find
PHASES = {"maximum": "critical", "minimum": "sweet", "collapse": "collapsed"}
MEANINGS = {
    "maximum": "the error peaks above the dense network's",
    "minimum": "it is lowest, below the dense network's",
    "collapse": "from here on it stays above its lowest",
}
HEADROOM = 0.2  # of a panel's height, for the phases' names
SPEEDUP = "theoretical speed-up (dense / kept MACs, log scale)"


@figure(
    "error-compression-{task}",
    "Test error against compression, a panel a regime (and model). Coloured curves: methods{bands};"
    " grey: controls{grey}; black lines: dense networks (as trained, and controls of the same"
    " budget); thin, without markers: stopped on validation, where that was"
    " recorded."
    " Dotted verticals name the phases of sparse double descent (He et al. 2022) of the"
    " named method, as far as the statistics show them: critical, where its error peaks above the"
    " dense network's; sweet, where it is lowest and below; collapsed, from where it stays above"
    " its lowest. Error axes are logarithmic where errors of a panel differ more than threefold."
    " Coloured and dotted with hollow markers, where there are any: published, not re-run.",
    published=True,
)
def error_compression(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each regime and model, with the phases that the statistics show."""
    if cells[ERROR].isna().all():
        return None
    rows = points(cells, [ERROR, STOPPED])
    settings = context.settings(rows)
    followed = {setting: _followed(setting, rows, context) for setting in settings}
    named = [
        f"{panels.title_of(setting, settings)}: {found['method']}"
        for setting, found in followed.items()
        if found is not None
    ]
    shown = [m for m in PHASES if any(f is not None and pd.notna(f[m]) for f in followed.values())]
    words = "; ".join(f"{PHASES[mark]}: {MEANINGS[mark]}" for mark in shown)
    said = f"dotted lines: phases (He et al. 2022) of {', '.join(named)}\n{words}" if named else ""
    grid = _sheet("Test error against compression", rows, settings, context, said)
    used = _panels(grid, settings, rows, context, "compression_ratio")
    for axes, setting in zip(used, settings, strict=True):
        if (found := followed[setting]) is not None:
            _phases(axes, found, panels.rows_of(rows, setting), context)
    return grid.finish(panels.COMPRESSION)


@figure(
    "error-speedup-{task}",
    "Test error against the theoretical speed-up, dense over kept multiply-accumulates, a panel a"
    " regime (and model). Curves: methods{bands}; grey: controls{grey}; black"
    " lines: dense networks; thin, without markers: stopped on validation. Removed weights that no"
    " hardware skips count as well. Coloured and dotted with hollow markers, where there are any:"
    " published, not re-run.",
    published=True,
)
def error_speedup(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each regime and model, without phases."""
    if cells[ERROR].isna().all() or not measured(cells, "theoretical_speedup"):
        return None
    rows = points(cells, [ERROR, STOPPED])
    settings = context.settings(rows)
    grid = _sheet("Test error against theoretical speed-up", rows, settings, context)
    _panels(grid, settings, rows, context, "theoretical_speedup")
    return grid.finish(SPEEDUP)


def _sheet(
    title: str,
    rows: pd.DataFrame,
    settings: list[tuple[str, str]],
    context: FigureContext,
    said: str = "",
) -> panels.PanelGrid:
    # where some methods are grey, the coloured ones alone have this line
    whose = "methods in colour, " if set(context.longest_forms) - set(context.shown) else ""
    thin = f"thin, without markers: {whose}stopped on validation"
    stopped = bool(rows[f"{STOPPED}_mean"].notna().any())
    below = panels.legend_notes(rows, context, thin if stopped else "") + ([said] if said else [])
    lines, across = panels.grid_shape(settings)
    where = panels.place_of(rows, settings)
    height = 2.6 if across == 1 else 1.95
    return panels.PanelGrid(
        f"{title}: {where}", lines, across, panels.styles_of(rows, context), below, height,
        sharex=True,
    )  # fmt: skip


def _panels(
    grid: panels.PanelGrid, settings: list[tuple[str, str]], rows: pd.DataFrame,
    context: FigureContext, ratio: str,
) -> list[Axes]:  # fmt: skip
    """Draw a panel for each setting, all with axes of one kind; return the panels."""
    used, errors = grid.used(len(settings)), []
    for axes, setting in zip(used, settings, strict=True):
        own = panels.rows_of(rows, setting)
        drawn = panels.curves(axes, own, ERROR, context.styles, 100, (0, 100), ratio)
        thin = _stopped(axes, own, context, ratio)
        errors.append((axes, pd.concat([drawn["mean"], thin])))
        axes.set_title(panels.title_of(setting, settings))
    panels.ratio_axis(used, rows, ratio)
    wide = panels.error_axes(errors)
    for axes in used:
        axes.set_ylabel("test error (%, log scale)" if wide else "test error (%)")
    return used


def _stopped(axes: Axes, rows: pd.DataFrame, context: FigureContext, ratio: str) -> pd.Series:
    """Draw the stopped states of the baseline and of the methods in colour, thin, unmarked.

    Returns:
        The means that were drawn, in per cent.
    """
    rows = rows.assign(
        mean=100 * rows[f"{STOPPED}_mean"], ratio=rows[f"{ratio}_mean"].fillna(rows["nominal"])
    )
    rows = rows[rows["mean"].notna() & rows["method"].isin([context.baseline, *context.shown])]
    for method, own in rows.sort_values("ratio").groupby("method", sort=True):
        look = context.styles[str(method)]
        if method == context.baseline:
            axes.axhline(own["mean"].iloc[0], color=look.colour, linewidth=0.6, zorder=1.6)
        else:
            axes.plot(own["ratio"], own["mean"], color=look.colour, linewidth=0.6, zorder=1.9)
    return rows["mean"]


def _followed(
    setting: tuple[str, str], rows: pd.DataFrame, context: FigureContext
) -> pd.Series[float] | None:
    """Return the phases of the method that a panel names: most phases shown, then lowest error.

    Its minimum must be shown, and one phase more: a minimum alone is no double descent.
    """
    found = context.phases
    found = found[found["task"] == rows["task"].iloc[0]]
    found = panels.rows_of(found[found["method"].isin(context.shown)], setting)
    found = found.assign(many=found[list(PHASES)].notna().sum(axis=1))
    found = found[found["minimum"].notna() & (found["many"] > 1)]
    if found.empty:
        return None
    means = panels.rows_of(rows, setting).groupby("method")[f"{ERROR}_mean"].min()
    found = found.assign(lowest=found["method"].map(means))
    return found.sort_values(["many", "lowest", "method"], ascending=[False, True, True]).iloc[0]


def _phases(axes: Axes, found: pd.Series, rows: pd.DataFrame, context: FigureContext) -> None:
    """Write each phase above the curves, at its compression ratio, at alternating heights."""
    own = rows[rows["method"] == found["method"]].set_index("sparsity")
    ratios = own["compression_ratio_mean"].fillna(own["nominal"])
    low, high = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"
    top = low * (high / low) ** (1 + HEADROOM) if logarithmic else high + HEADROOM * (high - low)
    axes.set_ylim(low, top)
    colour = context.styles[str(found["method"])].colour
    left, right = np.log2(axes.get_xlim())
    for place, (mark, name) in enumerate(PHASES.items()):
        if pd.isna(found[mark]):
            continue
        at = ratios.iloc[int(np.argmin(np.abs(ratios.index - found[mark])))]
        share = (np.log2(at) - left) / (right - left)
        side = "left" if share < 0.2 else "right" if share > 0.8 else "center"
        height = 0.91 if place == 1 else 1.0
        axes.axvline(
            at, ymax=height - 0.07, color=colour, dashes=(1, 1.5), linewidth=0.8, zorder=1.2
        )
        axes.text(
            at, height, name, transform=axes.get_xaxis_transform(), ha=side, va="top",
            fontsize=6.5, style="italic", color=style.BLACK,
        )  # fmt: skip
