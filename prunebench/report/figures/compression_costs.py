"""Test error against bytes, operations and time; theoretical against measured speed-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext, measured
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics import bands
from prunebench.statistics.trade_offs import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CostAxis:
    """A column that holds a cost of a network, and the label of its axis."""

    column: str
    label: str
    scale: float = 1


PRICES = (
    CostAxis("bytes_compressed", "file (kB, log scale)", 1e-3),
    CostAxis("macs_shrunk", "MACs an input (M, log scale)", 1e-6),
    CostAxis("latency_ms", "latency (ms, log scale)"),
)
CLOCKS = (
    CostAxis("measured_speedup", "measured, batch of one"),
    CostAxis("measured_speedup_batch", "measured, large batch"),
)
BUDGET = "theoretical_speedup"
_UNNAMED: dict[str, Any] = style.OTHER.line() | {"linewidth": 0, "zorder": 1.4}


def _curves(rows: pd.DataFrame) -> set[str]:
    """Return the methods that remove something."""
    return set(rows.loc[rows["sparsity"] > 0, "method"])


@figure(
    "pareto-{task}",
    "Test error against what the network really costs: bytes of the losslessly compressed file,"
    " multiply-accumulates of the verified shrunk network with dense kernels, measured latency of"
    " one input; a row a regime (and model), means over seeds. The black line joins the Pareto"
    " front of all that was pruned and the dense network: what no other point beats in both.",
)
def pareto(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each cost that was measured, with the Pareto front of each."""
    prices = [price for price in PRICES if _costs(cells, price)]
    if not prices or cells["test_error"].isna().all():
        return None
    rows = bands(cells, ["test_error", *(price.column for price in prices)])
    settings = context.settings(rows)
    styles = {name: look for name, look in panels.styles_of(rows, context).items() if look.marker}
    styles = {context.baseline: style.LineStyle(style.BLACK, "*")} | styles
    legend = panels.with_others(styles, _curves(rows))
    grid = panels.PanelGrid(
        f"Test error against cost: {panels.place_of(rows, settings)}", len(settings), len(prices),
        legend, ["black line: Pareto front"], height=1.7,
    )  # fmt: skip
    errors = []
    for setting, line in zip(settings, grid.panels, strict=True):
        for axes, price in zip(line, prices, strict=True):
            drawn = _points(axes, price, panels.rows_of(rows, setting), context, styles)
            errors.append((axes, drawn))
        line[0].set_title(panels.title_of(setting, settings), loc="left", fontweight="bold")
    wide = panels.error_axes(errors)
    for line in grid.panels:
        line[0].set_ylabel("test error (%, log scale)" if wide else "test error (%)")
    return grid.finish()


def _costs(cells: pd.DataFrame, price: CostAxis) -> bool:
    """Return whether a pruned network costs anything: reading an embedding multiplies nothing."""
    return measured(cells, price.column) and bool((cells[price.column] > 0).any())


def _points(
    axes: Axes,
    price: CostAxis,
    rows: pd.DataFrame,
    context: FigureContext,
    styles: panels.LineStyles,
) -> pd.Series:
    """Draw the networks of a panel with their Pareto front; return the errors in per cent."""
    rows = rows.assign(
        cost=rows[f"{price.column}_mean"] * price.scale, mean=100 * rows["test_error_mean"]
    ).dropna(subset=["cost", "mean"])
    unnamed = rows[rows["method"].isin(_curves(rows) - set(styles))]
    axes.plot(unnamed["cost"], unnamed["mean"], **_UNNAMED)
    for method, look in styles.items():
        own = rows[rows["method"] == method]
        size = 8 if method == context.baseline else style.RC["lines.markersize"]
        axes.plot(own["cost"], own["mean"], **look.line() | {"linewidth": 0}, markersize=size)
    judged = rows[rows["method"].isin([*context.candidates, context.baseline])]
    front = pareto_front(judged["cost"].to_numpy(), judged["mean"].to_numpy())
    best = judged[front].sort_values("cost")
    axes.plot(best["cost"], best["mean"], color=style.BLACK, linewidth=0.9, zorder=1.5)
    axes.set_xscale("log")
    panels.cost_axis(axes.xaxis)
    axes.set_xlabel(price.label)
    return rows["mean"]


@figure(
    "speedup-measured-{task}",
    "Theoretical speed-up (dense over kept multiply-accumulates) against the measured one (dense"
    " over pruned time, verified shrunk networks where there are any), a point a cell. On the line"
    " both agree; below it the hardware does not skip what was removed.",
)
def speedup_measured(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each batch size that was timed."""
    clocks = [clock for clock in CLOCKS if measured(cells, clock.column)]
    if not clocks:
        return None
    rows = cells[cells[clocks[0].column].notna() & (cells["sparsity"] > 0)]
    styles = {name: look for name, look in context.styles.items() if name in set(rows["method"])}
    legend = panels.with_others(styles, set(rows["method"]))
    grid = panels.PanelGrid(
        f"Theoretical and measured speed-up: {panels.place_of(rows, context.settings(rows))}",
        1, len(clocks), legend, ["line: both are the same"], height=2.6, sharex=True, sharey=True,
    )  # fmt: skip
    ends = rows[[BUDGET, *(clock.column for clock in clocks)]].to_numpy(dtype=float)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    unnamed = rows[~rows["method"].isin(list(styles))]
    for axes, clock in zip(grid.panels.flat, clocks, strict=True):
        axes.plot(unnamed[BUDGET], unnamed[clock.column], **_UNNAMED)
        for method, look in styles.items():
            own = rows[rows["method"] == method]
            axes.plot(own[BUDGET], own[clock.column], **look.line() | {"linewidth": 0})
        axes.plot([low, high], [low, high], color="0.5", linewidth=0.8, zorder=1)
        _ratios(axes, low, high)
        axes.set_ylabel(f"{clock.label} (×)")
    return grid.finish("theoretical speed-up (dense / kept MACs)")


def _ratios(axes: Axes, low: float, high: float) -> None:
    """Make both axes log₂, with ticks written as 2×."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    step = max(1, int(np.ceil(np.log2(high / low) / 6)))
    for set_scale, set_limits, axis in (
        (axes.set_xscale, axes.set_xlim, axes.xaxis), (axes.set_yscale, axes.set_ylim, axes.yaxis),
    ):  # fmt: skip
        set_scale("log", base=2)
        set_limits(low / 1.15, high * 1.15)
        axis.set_major_locator(FixedLocator(list(2.0 ** np.arange(-6, 24, step))))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axis.set_minor_locator(NullLocator())
