"""Test error against the length of recovery, at fixed compressions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics import bands
from prunebench.statistics.recovery_lengths import errors_by_length, lengths_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMPRESSIONS = 3  # panels of a setting
NEAR = 1 / 3  # octaves that a method's compression may be away from that of its panel
MOSTLY = 0.5  # share of the seeds from which on a point is marked as under-trained
_CROSS: dict[str, Any] = {"linestyle": "", "marker": "x", "markersize": 5, "zorder": 4}


@figure(
    "error-length-{task}",
    "Test error against the length of recovery, in times the declared epochs, at three compressions"
    " (the least, a middle and the largest of the grid, as achieved), a row a regime (and model)."
    " Lines: methods, trained to their last state{bands}, and dense networks"
    " trained as much longer; thin and dashed: the same, stopped at the lowest error on validation"
    " labels that carry the regime's noise. Black, level: the dense baseline. Hollow: under-trained"
    " in half of the seeds or more, which may look like a gain; a cross at the upper edge: a seed"
    " failed to train or was lost, and is not in the mean. Error axes are logarithmic where errors"
    " of a panel differ more than threefold. A gain that holds only at the left end is one of"
    " training too short.",
    lengths=True,
)
def error_length(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a row of panels for each regime and model; None where there is one length alone."""
    found = errors_by_length(cells)
    if found.empty:
        return None
    named = _looks(context, found)
    others = sorted(set(found["base"]) - {*named, context.baseline})
    looks = dict.fromkeys(others, style.OTHER) | named  # the named ones on top
    settings = context.settings(found)
    shown = {each: _compressions(panels.rows_of(found, each)) for each in settings}
    across = max(map(len, shown.values()), default=0)
    if not across:
        return None
    grid = panels.PanelGrid(
        f"Test error against the length of recovery: {panels.place_of(found, settings)}",
        len(settings), across,
        {context.baseline: style.LineStyle(style.BLACK, width=1.4)}
        | panels.with_others(named, [*named, *others]),
        ["thin, dashed: stopped on validation; hollow: under-trained in half of the seeds or more;"
         f" cross: a seed failed; {_band(found)}"],
        height=2.3 if across == 1 else 1.75,
    )  # fmt: skip
    dense = bands(cells[cells["method"] == context.baseline], ["test_error", "stopped_test_error"])
    errors = []
    for line, setting in zip(grid.panels, settings, strict=True):
        own = panels.rows_of(found, setting)
        for axes, ratio in zip(line, shown[setting], strict=False):
            there = _near_compression(own, ratio)
            means = _levels(axes, panels.rows_of(dense, setting))
            means += _lines(axes, there, looks)
            _length_axis(axes, found["length"].unique())
            errors.append((axes, pd.Series(means, dtype=float).dropna()))
            _failures(axes, there, looks)
            ends = there.loc[there["sparsity"] > 0, "ratio"]
            axes.set_title(f"{panels.title_of(setting, settings)}, {_ratios(ends)}")
        for axes in line[len(shown[setting]) :]:
            axes.remove()
    wide = panels.error_axes(errors)
    for axes, _ in errors:
        if axes in grid.panels[:, 0] or panels.narrow():
            axes.set_ylabel("test error (%, log scale)" if wide else "test error (%)")
    return grid.finish("length of recovery (times the declared epochs, log scale)")


def _looks(context: FigureContext, found: pd.DataFrame) -> dict[str, style.LineStyle]:
    """Return the looks of the methods that were run at several lengths, as in all figures."""
    there = set(found["base"])
    base = lengths_of(context.cells)["base"]
    looks: dict[str, style.LineStyle] = {}
    for method, look in context.styles.items():
        name = str(base.get(method, method))
        if name in there and name not in looks:
            level = look.marker == ""
            own = style.LineStyle(style.BLACK, "*", look.dashes, 1.1) if level else look
            looks[name] = replace(own, fill=None)  # a hollow marker says under-trained here
    return looks


def _band(found: pd.DataFrame) -> str:
    seeds = int(found["seeds"].max())
    return f"band: 95 % interval over {seeds} seeds" if seeds > 1 else "one seed, no band"


def _compressions(rows: pd.DataFrame) -> list[float]:
    """Return the achieved compressions of a setting's panels: least, middle and largest."""
    pruned = rows[rows["sparsity"] > 0]
    ratios = sorted(pruned.groupby("sparsity")["ratio"].median())
    places = np.linspace(0, len(ratios) - 1, min(COMPRESSIONS, len(ratios)))
    return [ratios[round(place)] for place in places]


def _near_compression(rows: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """Return each method at the sparsity that comes nearest to a compression, if it comes near.

    What removes nothing (dense networks trained longer) stands in every panel.
    """
    mean = rows.groupby(["base", "sparsity"])["ratio"].transform("median")
    far = np.log2(mean / ratio).abs()
    still = rows.groupby("base")["sparsity"].transform("max") == 0
    nearest = far == far.groupby(rows["base"]).transform("min")
    return rows[still | (nearest & (far <= NEAR))]


def _ratios(ratios: pd.Series) -> str:
    ends = sorted({f"{ratios.min():.3g}", f"{ratios.max():.3g}"}, key=float)
    return f"{' to '.join(ends)}×"


def _levels(axes: Axes, rows: pd.DataFrame) -> list[float]:
    """Draw the dense baseline across the panel, trained and stopped; return what was drawn."""
    drawn = []
    for row in rows.to_dict("records"):
        for name, line in (
            ("test_error", {"linewidth": 1.4}),
            ("stopped_test_error", {"linewidth": 0.8, "dashes": (4, 2)}),
        ):
            value = 100 * row[f"{name}_mean"]
            if np.isfinite(value):
                axes.axhline(value, color=style.BLACK, zorder=1.6, **line)
                drawn.append(value)
        low, high = 100 * row["test_error_low"], 100 * row["test_error_high"]
        if np.isfinite(low):
            axes.axhspan(low, high, color=style.BLACK, alpha=0.09, linewidth=0)
    return drawn


def _lines(axes: Axes, rows: pd.DataFrame, looks: panels.LineStyles) -> list[float]:
    """Draw the methods of a panel; return the means that were drawn."""
    drawn: list[float] = []
    for base, look in looks.items():
        own = rows[rows["base"] == base].sort_values("length")
        at, colour = own["length"], look.colour
        trained, stopped = 100 * own["trained"], 100 * own["stopped"]
        line = look.line() | {"marker": ""}
        axes.plot(at, stopped, color=colour, linewidth=0.8, dashes=(4, 2), zorder=1.8)
        axes.plot(at, trained, **line, zorder=2.5)
        late = own["under"] >= MOSTLY * (own["seeds"] - own["failed"])
        late &= own["under"] > 0
        for which, face in ((late, "white"), (~late, colour)):
            axes.plot(at[which], trained[which], linestyle="", marker=look.marker or "o",
                      markerfacecolor=face, markeredgecolor=colour, markeredgewidth=0.9,
                      zorder=3)  # fmt: skip
        low, high = 100 * own["trained_low"], 100 * own["trained_high"]
        if np.isfinite(low).any() and look != style.OTHER:
            axes.fill_between(at, low.clip(0), high.clip(upper=100), color=colour, alpha=0.12,
                              linewidth=0, zorder=1)  # fmt: skip
        drawn += [*trained, *stopped]
    return drawn


def _failures(axes: Axes, rows: pd.DataFrame, looks: panels.LineStyles) -> None:
    """Mark lengths at which a seed failed to train at the upper edge, a height for each method.

    At their own errors, near chance, they would leave no room for the others.
    """
    lost = rows[rows["failed"] > 0]
    for place, base in enumerate(name for name in looks if name in set(lost["base"])):
        at = lost.loc[lost["base"] == base, "length"]
        axes.plot(at, [0.97 - 0.07 * place] * len(at), color=looks[base].colour,
                  transform=axes.get_xaxis_transform(), **_CROSS)  # fmt: skip


def _length_axis(axes: Axes, lengths: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(min(lengths) / 1.25, max(lengths) * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(sorted(lengths)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
