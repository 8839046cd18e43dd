"""What compression buys: error against bytes, operations and time, and theory against the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebench.report import style
from prunebench.report.figures import panels
from prunebench.report.figures.figure_context import Scene, measured
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics import bands
from prunebench.statistics.trade_offs import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Price:
    """A column that says what a network costs, and how an axis names it."""

    column: str
    label: str
    scale: float = 1


PRICES = (
    Price("bytes_compressed", "file (kB, log scale)", 1e-3),
    Price("macs_shrunk", "MACs an image (M, log scale)", 1e-6),
    Price("latency_ms", "latency (ms, log scale)"),
)
CLOCKS = (
    Price("measured_speedup", "measured, batch of one"),
    Price("measured_speedup_batch", "measured, large batch"),
)
BUDGET = "theoretical_speedup"


@figure(
    "pareto-{task}",
    "Test error against what the network really costs: bytes of the losslessly compressed file,"
    " multiply-accumulates of the verified shrunk network with dense kernels, measured latency of"
    " one image; a row a regime (and model), means over seeds. The black line joins the Pareto"
    " front of all that was pruned and the dense network: what no other point beats in both.",
)
def pareto(cells: pd.DataFrame, scene: Scene) -> Figure | None:
    """A panel for each cost that was measured."""
    prices = [price for price in PRICES if measured(cells, price.column)]
    if not prices or cells["test_error"].isna().all():
        return None
    rows = bands(cells, ["test_error", *(price.column for price in prices)])
    settings = scene.settings(rows)
    looks = {name: look for name, look in panels.looks_of(rows, scene).items() if look.marker}
    looks = {scene.baseline: style.Look(style.BLACK, "*")} | looks
    sheet = panels.Sheet(
        f"Test error against cost: {panels.on(rows, settings)}", len(settings), len(prices),
        looks, ["black line: Pareto front"], height=1.7,
    )  # fmt: skip
    for setting, line in zip(settings, sheet.panels, strict=True):
        for axes, price in zip(line, prices, strict=True):
            _points(axes, price, panels.inside(rows, setting), scene, looks)
        line[0].set_title(panels.named(setting, settings), loc="left", fontweight="bold")
        line[0].set_ylabel("test error (%)")
    return sheet.finish()


def _points(
    axes: Axes, price: Price, rows: pd.DataFrame, scene: Scene, looks: panels.Looks
) -> None:
    rows = rows.assign(
        cost=rows[f"{price.column}_mean"] * price.scale, mean=100 * rows["test_error_mean"]
    ).dropna(subset=["cost", "mean"])
    for method, look in looks.items():
        own = rows[rows["method"] == method]
        size = 8 if method == scene.baseline else style.RC["lines.markersize"]
        axes.plot(own["cost"], own["mean"], **look.line() | {"linewidth": 0}, markersize=size)
    judged = rows[rows["method"].isin([*scene.candidates, scene.baseline])]
    front = pareto_front(judged["cost"].to_numpy(), judged["mean"].to_numpy())
    best = judged[front].sort_values("cost")
    axes.plot(best["cost"], best["mean"], color=style.BLACK, linewidth=0.9, zorder=1.5)
    axes.set_xscale("log")
    panels.cost_axis(axes.xaxis)
    axes.set_xlabel(price.label)
    panels.error_axis(axes, rows["mean"])


@figure(
    "speedup-measured-{task}",
    "Theoretical speed-up (dense over kept multiply-accumulates) against the measured one (dense"
    " over pruned time, verified shrunk networks where there are any), a point a cell. On the line"
    " both agree; below it the hardware does not skip what was removed.",
)
def speedup_measured(cells: pd.DataFrame, scene: Scene) -> Figure | None:
    """A panel for each batch that was measured."""
    clocks = [clock for clock in CLOCKS if measured(cells, clock.column)]
    if not clocks:
        return None
    rows = cells[cells[clocks[0].column].notna() & (cells["sparsity"] > 0)]
    looks = {name: look for name, look in scene.looks.items() if name in set(rows["method"])}
    sheet = panels.Sheet(
        f"Theoretical and measured speed-up: {panels.on(rows, scene.settings(rows))}",
        1, len(clocks), looks, ["line: both are the same"], height=2.6, sharex=True, sharey=True,
    )  # fmt: skip
    ends = rows[[BUDGET, *(clock.column for clock in clocks)]].to_numpy(dtype=float)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    for axes, clock in zip(sheet.panels.flat, clocks, strict=True):
        for method, look in looks.items():
            own = rows[rows["method"] == method]
            axes.plot(own[BUDGET], own[clock.column], **look.line() | {"linewidth": 0})
        axes.plot([low, high], [low, high], color="0.5", linewidth=0.8, zorder=1)
        _ratios(axes, low, high)
        axes.set_ylabel(f"{clock.label} (×)")
    return sheet.finish("theoretical speed-up (dense / kept MACs)")


def _ratios(axes: Axes, low: float, high: float) -> None:
    """Both axes log₂, written 2×."""
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
