"""Dense and pruned networks, trained to the end and stopped: the four errors, and the gains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import figure
from prunebench.report.tables.training_tables import both_lengths
from prunebench.statistics.recovery_lengths import in_order
from prunebench.statistics.two_by_two import ESTIMATED, STOPPED, TRAINED, of_one_setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATES = (TRAINED, STOPPED)
GAINS = dict(zip(ESTIMATED, ("gain,\ntrained", "gain,\nstopped", "inter-\naction"), strict=True))
MOST = 10  # methods that a panel holds
SPREAD = 0.5  # of the space between two places, over which the methods lie side by side
DENSE_LOOK = style.LineStyle(style.BLACK, "*", width=1.4)


@figure(
    "two-by-two-{task}",
    "Dense and pruned, trained and stopped, a column a regime (and model). Above: mean test error"
    " of the dense network (black) and of each method, of the last state of trainings that came to"
    " their end (trained), and of the state at the lowest error on validation labels that carry"
    " the regime's noise (stopped), each at the sparsity that validation chooses. Below: what"
    " pruning gains in each, dense minus pruned error with the same seed, in points (above 0"
    " pruning is better), and the interaction, gain trained minus gain stopped: by how much"
    " pruning does better at the end of training than where both are stopped. Bars: 95 %"
    " intervals over seeds. Shaded: the region of practical equivalence. Hollow: a method"
    " at the declared length, beside its longest form.",
    lengths=True,
)
def two_by_two_figure(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw two panels for each regime and model: the four errors, and the gains."""
    if cells["stopped_test_error"].isna().all():
        return None
    found = both_lengths(cells, context.analysis)
    # scopes of several settings are for the table; a panel is one setting
    found = found[of_one_setting(found)].dropna(subset=["dense_stopped"])
    settings = context.settings(found)
    if not settings:
        return None
    blocks, across = panels.grid_shape(settings)
    across = min(across, len(settings))
    looks = {name: context.look(name) for name in in_order(cells, set(found["method"]))[:MOST]}
    margin = context.analysis.equivalence
    grid = panels.PanelGrid(
        f"Dense and pruned, trained and stopped: {panels.place_of(found, settings)}",
        2 * blocks, across, {context.baseline: DENSE_LOOK} | looks,
        [f"bar: 95 % interval over seeds; shaded: ±{margin:g} points"],
        height=2.2 if across == 1 else 1.75,
    )  # fmt: skip
    for place, setting in enumerate(settings):
        rows = panels.rows_of(found, setting)
        line, at = 2 * (place // across), place % across
        errors, gains = grid.panels[line][at], grid.panels[line + 1][at]
        _errors(errors, rows, looks)
        _gains(gains, rows, looks, margin)
        errors.set_title(panels.title_of(setting, settings))
        if at == 0 or panels.narrow():
            errors.set_ylabel("test error (%)")
            gains.set_ylabel("points of test error")
    for empty in grid.panels[-2:, len(settings) - across * (blocks - 1) :].flat:
        empty.remove()
    return grid.finish()


def _errors(axes: Axes, rows: pd.DataFrame, looks: panels.LineStyles) -> None:
    """Draw the mean errors with their intervals; a line joins both states of a network."""
    most = rows.sort_values("pairs", kind="stable").iloc[-1]
    shift = _shifts(len(looks) + 1)
    _states(axes, most, "dense", DENSE_LOOK, shift[0])
    for move, (method, look) in zip(shift[1:], looks.items(), strict=True):
        for _, row in rows[rows["method"] == method].iterrows():
            _states(axes, row, "pruned", look, move)
    axes.set_xticks(range(len(STATES)), STATES)
    axes.set_xlim(-0.5, 1.5)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))


def _states(axes: Axes, row: pd.Series, side: str, look: style.LineStyle, move: float) -> None:
    at = [place + move for place in range(len(STATES))]
    means = [100 * row[f"{side}_{state}"] for state in STATES]
    line = look.line() | {"linewidth": 0.7}
    if look.marker == "*":
        line["markersize"] = 8
    axes.plot(at, means, **line, zorder=3)
    for place, state in zip(at, STATES, strict=True):
        _bar(axes, place, 100 * row[f"{side}_{state}_low"], 100 * row[f"{side}_{state}_high"], look)


def _gains(axes: Axes, rows: pd.DataFrame, looks: panels.LineStyles, margin: float) -> None:
    axes.axhspan(-margin, margin, color="0.9", linewidth=0, zorder=0.5)
    axes.axhline(0, color=style.BLACK, linewidth=0.9, zorder=1.2)
    for move, (method, look) in zip(_shifts(len(looks)), looks.items(), strict=True):
        for row in rows[rows["method"] == method].to_dict("records"):
            for place, name in enumerate(GAINS):
                _bar(axes, place + move, row[f"{name}_low"], row[f"{name}_high"], look)
                axes.plot(place + move, row[name], **look.line(), zorder=3)
    for place, name in enumerate(GAINS):
        if rows[name].isna().all():
            axes.text(
                place, 0.5, "no pair", transform=axes.get_xaxis_transform(), ha="center",
                va="center", fontsize=6.5, style="italic",
            )  # fmt: skip
    axes.axvline(1.5, color="0.6", linewidth=0.6, dashes=(2, 2))
    axes.set_xticks(range(len(GAINS)), list(GAINS.values()))
    axes.set_xlim(-0.5, len(GAINS) - 0.5)
    axes.grid(visible=False, axis="x")


def _shifts(count: int) -> list[float]:
    """Return the places of things side by side, around 0."""
    return [SPREAD * (2 * i + 1 - count) / max(count, 2) for i in range(count)]


def _bar(axes: Axes, at: float, low: Any, high: Any, look: style.LineStyle) -> None:
    if pd.notna(low) and pd.notna(high):
        axes.plot([at, at], [low, high], color=look.colour, linewidth=1.1, zorder=2)
