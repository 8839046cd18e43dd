"""Scores, and gains at the sparsity chosen on validation, as points with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import EVERYTHING, FigureContext, measured, not_drawn
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics.bootstrap import SEEDS_AND_TASKS
from prunebench.statistics.published_results import MARK, own
from prunebench.storage.records import ALL
from prunebench.text.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.17  # inches a method
NAMES = 0.6  # of the figure's width, at most for the methods' names
EDGE = 0.7  # of a row, above the first method and below the last
SPARE = 1.2  # inches for the texts around panels, before these are measured
LOWER = 0.3  # of a row, by which the stopped state stands below the trained one
Ends = tuple[pd.Series, pd.Series, pd.Series]  # values, and the ends of their intervals


@dataclass(frozen=True)
class ForestRows:
    """The methods of a forest plot from top to bottom: candidates, controls, published ones."""

    candidates: list[str]
    controls: list[str]
    published: tuple[str, ...] = ()

    @property
    def groups(self) -> dict[str, Sequence[str]]:
        """Return the groups that are not empty, by the title above them."""
        named = {"": self.candidates, "controls": self.controls, MARK: self.published}
        return {title: names for title, names in named.items() if names}

    @property
    def heights(self) -> dict[str, float]:
        """Return the height of each method's row; one empty row lies between two groups."""
        places = {
            name: place + gap
            for place, (gap, name) in enumerate(
                (gap, name) for gap, names in enumerate(self.groups.values()) for name in names
            )
        }
        return {name: float(max(places.values()) - place) for name, place in places.items()}


@figure(
    "forest",
    "The score of every method, the mean change of test error against the dense baseline of the"
    " same seed over log₂ compression, in points (left is better), with its 95 % interval: over"
    " all settings, and over each regime. Controls stand below, and last what others"
    " published, compared with their own dense networks. Thin, below a method: the score of the"
    " same networks stopped on validation, dense ones too. Shaded: the region of practical"
    " equivalence. Methods stand at their longest recovery, and hollow at a declared shorter one.",
    whole=True,
    published=True,
)
def forest(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw all methods, best first."""
    overall = context.scores[EVERYTHING]
    shorter = context.other_lengths - set(context.analysis.primary)
    ranked = [m for m in overall.index if m not in {context.baseline, *shorter}]
    rows = ForestRows([m for m in ranked if m in context.candidates],
                [m for m in ranked if m in context.controls],
                tuple(m for m in ranked if m in context.published
                      and overall["score"].notna()[m]))  # fmt: skip
    if not ranked:
        return None
    over = "seeds, on these tasks"
    if (own(overall)["interval_over"] == SEEDS_AND_TASKS).all():
        over = SEEDS_AND_TASKS
    thin = "; thin, below: stopped on validation" if _stopped(overall) is not None else ""
    label = (
        f"test error minus {context.baseline} (points, mean over log₂ compression;"
        f" left is better{thin})\n"
        f"bar: 95 % interval over {over}; number: beyond the panel; shaded: equivalent"
        f" (±{context.analysis.equivalence:g} points)"
    )
    title = "Score: mean change of test error by pruning"
    return _draw(title, label, rows, context, lambda t: (t["score"], t["low"], t["high"]), _stopped)


def _stopped(scores: pd.DataFrame) -> Ends | None:
    """Return the scores of the stopped states with their intervals; None where there are none."""
    names = ("stopped_score", "stopped_low", "stopped_high")
    if scores[names[0]].isna().all():
        return None
    value, low, high = (scores[name] for name in names)
    return value, low, high


@figure(
    "controls",
    "The gain, dense minus own test error with the same seed, in points (right is better), at the"
    " sparsity that validation chose, with its 95 % interval: methods above; below the controls"
    " that pruning has to beat: dense networks trained as long, stopped early or decayed, small"
    " dense ones, random and shuffled masks. Shaded: the region of practical equivalence. No mark:"
    " at no sparsity did most of its trainings come to their end.",
    whole=True,
)
def controls(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw the methods in colour beside all controls."""
    overall = context.scores[EVERYTHING]
    there = overall[overall["chosen"].notna()].sort_values("chosen", kind="stable").index
    rows = ForestRows(
        [m for m in there if m in context.few],
        [m for m in there if m in context.controls and m not in context.other_lengths],
    )
    left_out = not_drawn(len(set(there).intersection(context.longest_forms) - {*rows.candidates}))
    if not (rows.controls and rows.candidates and measured(cells, "val_error")):
        return None
    label = (
        f"gain: {context.baseline} minus own test error (points; right is better), at the sparsity"
        " chosen on validation\nbar: 95 % interval over seeds; number: beyond the panel;"
        f" shaded: equivalent (±{context.analysis.equivalence:g} points)"
        f"{f'; {left_out}' if left_out else ''}"
    )
    title = "Gain of pruning beside that of its controls"
    return _draw(
        title, label, rows, context,
        lambda t: (-t["chosen"], -t["chosen_high"], -t["chosen_low"]),
    )  # fmt: skip


def _draw(
    title: str, label: str, rows: ForestRows, context: FigureContext,
    ends: Callable[[pd.DataFrame], Ends],
    beside: Callable[[pd.DataFrame], Ends | None] = lambda _: None,
) -> Figure:  # fmt: skip
    """Draw a panel for everything, and one for each regime where there are several.

    Args:
        title: of the figure.
        label: below the panels.
        rows: the methods.
        context: facts about all cells of the experiment.
        ends: the values of a table of scores, and the ends of their intervals.
        beside: the values that are drawn thin, a little lower; None for none.
    """
    from matplotlib.figure import Figure

    shown = [EVERYTHING]
    regimes = [r for r in context.regimes if (ALL, r, ALL) in context.scores]
    if len(regimes) > 1 and not panels.narrow():
        shown += [(ALL, regime, ALL) for regime in regimes]
    across = min(len(shown), panels.ACROSS)
    lines = -(-len(shown) // across)
    heights = rows.heights
    width = panels.width_of(across)
    tall = ROW * (max(heights.values()) + 2 * EDGE)
    made = Figure(figsize=(width, lines * (tall + SPARE) + SPARE), layout="constrained")
    made.suptitle(panels.wrapped(title, int(10.5 * width)), fontweight="bold")
    grid = list(made.subplots(lines, across, squeeze=False, sharey=True).flat)
    for axes in grid[len(shown) :]:
        axes.remove()
    for axes, key in zip(grid, shown, strict=False):
        values, thin = ends(context.scores[key]), beside(context.scores[key])
        _end(axes, values, heights, context, thin)
        _panel(axes, values, heights, context)
        if thin is not None:
            _thin(axes, thin, heights, context)
        only = key == EVERYTHING and len(shown) > 1
        axes.set_title("all regimes" if only else regimes[0] if len(shown) == 1 else key[1])
        for group, names in list(rows.groups.items())[1:]:
            border = heights[names[0]] + 1.35
            axes.axhline(border, color="0.6", linewidth=0.6, dashes=(2, 2))
            axes.text(0.99, border - 0.05, group, transform=axes.get_yaxis_transform(),
                      fontsize=6.5, style="italic", ha="right", va="top", zorder=6)  # fmt: skip
    room, size = 72 * NAMES * width, style.RC["ytick.labelsize"]
    names = [panels.shortened(name, room, size) for name in heights]
    grid[0].set_yticks(list(heights.values()), names)
    panels.stand_out(grid[0].get_yticklabels(), heights, context)
    grid[0].set_ylim(-EDGE, max(heights.values()) + EDGE)
    panels.wrap_titles(grid[: len(shown)], (1 - NAMES / across) * width / across)
    made.supxlabel(panels.lines_of(label, width), fontsize=style.RC["axes.labelsize"])
    panels.fit_height(made, grid[0], tall, lines)
    return made


def _panel(axes: Axes, ends: Ends, heights: dict[str, float], context: FigureContext) -> None:
    margin = context.analysis.equivalence
    axes.axvspan(-margin, margin, color="0.9", linewidth=0, zorder=0.5)
    axes.axvline(0, color=style.BLACK, linewidth=0.9, zorder=1.5)
    axes.grid(visible=False, axis="y")
    value, low, high = ends
    for method, height in heights.items():
        if method not in value.index or pd.isna(value[method]):
            continue
        look = context.look(method)
        marker: dict[str, Any] = {
            "marker": look.marker or "o",
            "markerfacecolor": look.fill or look.colour,
        }
        if not _inside(axes, float(value[method])):
            _beyond(axes, float(value[method]), height, look.colour)
            continue
        if pd.notna(low[method]):
            axes.plot([low[method], high[method]], [height, height], color=look.colour,
                      marker="|", markersize=5, linewidth=1.2)  # fmt: skip
        axes.plot(value[method], height, color=look.colour, markersize=4.2, zorder=3, **marker)


def _thin(axes: Axes, ends: Ends, heights: dict[str, float], context: FigureContext) -> None:
    """Draw the values of another state of the same methods, thin and lower."""
    value, low, high = ends
    for method, height in heights.items():
        if method in value.index and pd.notna(value[method]):
            colour, at = context.look(method).colour, height - LOWER
            if not _inside(axes, float(value[method])):
                continue
            axes.plot([low[method], high[method]], [at, at], color=colour, linewidth=0.6)
            axes.plot(value[method], at, color=colour, marker="|", markersize=4.5, zorder=3)


def _inside(axes: Axes, value: float) -> bool:
    left, right = axes.get_xlim()
    return left <= value <= right


def _beyond(axes: Axes, value: float, height: float, colour: str) -> None:
    """Write a value beyond the panel as a number at its edge: of its bar a stub would be seen."""
    beyond = value > axes.get_xlim()[1]
    text = number(value, 0, sign=True)
    axes.text(
        0.99 if beyond else 0.01, height, f"{text} ›" if beyond else f"‹ {text}",
        transform=axes.get_yaxis_transform(), ha="right" if beyond else "left", va="center",
        fontsize=6.5, color=colour, zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def _end(
    axes: Axes, ends: Ends, heights: dict[str, float], context: FigureContext,
    thin: Ends | None = None,
) -> None:  # fmt: skip
    """End the axis near the candidates and the dense controls.

    Random masks lose tens of points, and an axis that long hides every difference of interest.
    """
    value = ends[0][ends[0].index.isin(list(heights))].dropna()
    near = [m for m in value.index if m in context.candidates or m in context.levels]
    near = near or list(value.index)
    if not near:
        return
    both = [ends] if thin is None else [ends, thin]
    seen, kept = (
        pd.concat([series[series.index.isin(near)].dropna() for series in some])
        for some in ([each[0] for each in both], [series for each in both for series in each])
    )
    # intervals over two seeds may be endless; twice the values' own range is enough of them
    reach = 2 * max(float(seen.max() - seen.min()), 4 * context.analysis.equivalence)
    left = max(min(float(kept.min()), 0.0), float(seen.min()) - reach)
    right = min(max(float(kept.max()), 0.0), float(seen.max()) + reach)
    if left == right:  # one method that is exactly as good
        left, right = -context.analysis.equivalence, context.analysis.equivalence
    room = 0.08 * (right - left)
    axes.set_xlim(left - room, right + room)
