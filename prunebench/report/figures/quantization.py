"""Test error at equal bytes: pruned, quantized, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.trade_offs import BOTH, PRUNED, QUANTIZED, pareto_front, small_networks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    f"{PRUNED}, single precision": (PRUNED, style.LineStyle(style.PALETTE[0], "o")),
    f"{QUANTIZED} the dense network": (QUANTIZED, style.LineStyle(style.BLACK, "*")),
    f"{BOTH}: pruned, then in 8 bits": (BOTH, style.LineStyle(style.PALETTE[3], "s", (4, 1.5))),
}


@figure(
    "quantization-{task}",
    "Test error against bytes of the ONNX file behind zstd, for networks that were pruned,"
    " quantized to 8 bits (weights and activations), or both; all methods but controls, means over"
    " seeds, a panel a regime (and model). Lines join each way's Pareto front.",
)
def quantization(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each regime and model; None without cells in 8 bits."""
    rows = small_networks(cells)
    if rows.empty:
        return None
    key = [*SETTING, "way", "method", "sparsity"]
    rows = rows.groupby(key)[["error", "bytes"]].mean().reset_index()
    settings = context.settings(rows)
    lines, across = panels.grid_shape(settings)
    grid = panels.PanelGrid(
        f"Prune, quantize, or both: {panels.place_of(rows, settings)}", lines, across,
        {name: look for name, (_, look) in LOOKS.items()}, ["lines: Pareto fronts"],
        height=2.2,
    )  # fmt: skip
    errors = []
    for axes, setting in zip(grid.used(len(settings)), settings, strict=True):
        own = panels.rows_of(rows, setting)
        _panel(axes, own)
        errors.append((axes, 100 * own["error"]))
        axes.set_title(panels.title_of(setting, settings))
    wide = panels.error_axes(errors)
    for axes, _ in errors:
        axes.set_ylabel("test error (%, log scale)" if wide else "test error (%)")
    return grid.finish("bytes of the file (kB, log scale)")


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    for way, look in LOOKS.values():
        own = rows[rows["way"] == way].sort_values("bytes")
        faint = look.line() | {"linewidth": 0, "alpha": 0.45}
        axes.plot(own["bytes"] / 1e3, 100 * own["error"], **faint)
        best = own[pareto_front(own["bytes"].to_numpy(), own["error"].to_numpy())]
        size = 8 if look.marker == "*" else style.RC["lines.markersize"]
        line = look.line() | {"zorder": 3, "markersize": size}
        axes.plot(best["bytes"] / 1e3, 100 * best["error"], **line)
    axes.set_xscale("log")
    panels.cost_axis(axes.xaxis)
