"""Test errors of dense and pruned networks, trained to the end and stopped early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import NAMED, FigureContext, not_drawn
from prunebench.report.figures.figure_registry import figure
from prunebench.report.tables.training_tables import both_lengths
from prunebench.statistics.recovery_lengths import in_order
from prunebench.statistics.two_by_two import STOPPED, TRAINED, of_one_setting
from prunebench.text.numbers import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATES = {TRAINED: "trained\nto the end", STOPPED: "stopped\nearly"}
MOST = 10  # methods that a panel holds
SPREAD = 0.66  # of the space between two places, over which the networks lie side by side
DENSE, PRUNED = "dense network", "pruned networks"
LOOKS = {
    DENSE: style.LineStyle(style.BLACK, "*", width=1.6),
    PRUNED: style.LineStyle(style.PALETTE[0], "o", width=1.2),
}
NOT_MINE = style.LineStyle(style.CONTROL_COLOUR, "o", width=1.0)  # beside highlighted methods
REGIMES = 3  # that a panel as wide as a page holds


@figure(
    "two-by-two-{task}",
    "Test error of the dense network (black star) and of the pruned ones (circles, each at the"
    " sparsity that validation chooses), in each regime twice: of trainings that came to their end,"
    " and of the same trainings at the lowest error on validation labels that carry the regime's"
    " noise, where early stopping would have ended them. A circle below the star of its group"
    " generalizes better than the dense network.{Bars}",
    lengths=True,
)
def two_by_two_figure(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each model, with two groups of networks for each regime."""
    if cells["stopped_test_error"].isna().all():
        return None
    found = both_lengths(cells, context.analysis, context.highlight)
    # scopes of several settings are for the table; a group is one setting
    found = found[of_one_setting(found)].dropna(subset=["dense_stopped"])
    settings = context.settings(found)
    if not settings:
        return None
    there = in_order(cells, set(found["method"]))
    kept = sorted(there, key=lambda name: name not in context.highlight)[:MOST]
    methods = [name for name in there if name in kept]
    looks = _looks(methods, context)
    each = 1 if panels.narrow() else REGIMES
    groups = [
        group[i : i + each]
        for model in dict.fromkeys(model for _, model in settings)
        for group in [[s for s in settings if s[1] == model]]
        for i in range(0, len(group), each)
    ]
    mine = [name for name in methods if name in context.highlight]
    rest = [name for name in methods if name not in context.highlight]
    shown = {DENSE: LOOKS[DENSE]} | {name: looks[name] for name in mine}
    if mine and len(rest) <= NAMED:
        shown |= {name: looks[name] for name in rest}
    elif rest:
        shown[plural(len(rest), "other method") if mine else PRUNED] = looks[rest[0]]
    shown = {name: replace(look, width=0.0) for name, look in shown.items()}  # no curve is drawn
    first = "pruned, from left to right" if len(methods) > 1 else "pruned"
    order = f"{first}: {', '.join(methods)}"
    seeds = int(cells["seed"].nunique())
    bars = "bar: 95 % interval over seeds" if seeds > 1 else "one seed, no bars"
    left_out = not_drawn(len(there) - len(methods))
    grid = panels.PanelGrid(
        f"Test error, trained to the end and stopped early: {panels.place_of(found, settings)}",
        len(groups), 1, shown, [order, bars, left_out], height=2.5,
        width=None if panels.narrow() else style.PAGE_WIDTH,
    )  # fmt: skip
    for axes, group in zip(grid.panels.flat, groups, strict=True):
        _panel(axes, [(setting, panels.rows_of(found, setting)) for setting in group], looks)
        if len({model for _, model in settings}) > 1:
            axes.set_title(group[0][1])
    return grid.finish()


def _looks(methods: Sequence[str], context: FigureContext) -> dict[str, style.LineStyle]:
    """Return how methods look; those beside highlighted ones each its own way while few."""
    if not set(methods).intersection(context.highlight):
        return dict.fromkeys(methods, LOOKS[PRUNED])
    rest = [name for name in methods if name not in context.highlight]
    few = len(rest) <= NAMED
    beside = {
        name: replace(NOT_MINE, marker=style.MARKERS[1 + place] if few else "o")
        for place, name in enumerate(rest)
    }
    return {name: beside.get(name) or context.look(name) for name in methods}


def _panel(
    axes: Axes, groups: list[tuple[tuple[str, str], pd.DataFrame]], looks: panels.LineStyles
) -> None:
    """Draw two groups of networks for each setting, and the settings' regimes below them."""
    shifts = _shifts(len(looks) + 1)
    width = panels.width_of(1) if panels.narrow() else style.PAGE_WIDTH
    ticks = []
    for at, (setting, rows) in enumerate(groups):
        most = rows.sort_values("pairs", kind="stable").iloc[-1]
        for place, state in enumerate(STATES, start=2 * at):
            _network(axes, place + shifts[0], most, f"dense_{state}", LOOKS[DENSE])
            for shift, (method, look) in zip(shifts[1:], looks.items(), strict=True):
                for _, row in rows[rows["method"] == method].iterrows():
                    _network(axes, place + shift, row, f"pruned_{state}", look)
            ticks.append(STATES[state])
        if at:
            axes.axvline(2 * at - 0.5, color="0.6", linewidth=0.6, dashes=(2, 2))
        room = int(11 * width / len(groups))
        axes.text(
            2 * at + 0.5, 1.02, panels.balanced(setting[0], room), ha="center", va="bottom",
            transform=axes.get_xaxis_transform(), fontweight="bold",
        )  # fmt: skip
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlim(-0.5, len(ticks) - 0.5)
    # from 0 on the margin above what varies is small: half of a point would be cut off
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.set_ylabel("test error (%)")
    axes.grid(visible=False, axis="x")


def _network(axes: Axes, at: float, row: pd.Series, name: str, look: style.LineStyle) -> None:
    """Draw a network's mean error with its interval."""
    mean, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if pd.notna(low) and pd.notna(high):
        axes.plot([at, at], [low, high], color=look.colour, linewidth=look.width, zorder=2)
    axes.plot(at, mean, **look.line() | {"markersize": look.size}, zorder=3)


def _shifts(count: int) -> list[float]:
    """Return the places of things side by side, around 0."""
    return [SPREAD * (i / max(count - 1, 1) - 0.5) for i in range(count)]
