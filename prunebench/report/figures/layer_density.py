"""The share of weights that each layer kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebench.report.figures import panels
from prunebench.report.figures.figure_context import FigureContext, not_drawn
from prunebench.report.figures.figure_registry import figure
from prunebench.text.numbers import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_AT = 0.9  # of the sparsities the nearest to it
KEY = ["model", "method"]


@figure(
    "layers-{task}",
    "Weights that each prunable layer kept, in the network's order, at one sparsity, of the first"
    " seed and the first regime; a panel a model and method. Filled: the share of the weights;"
    " outlined: the share of the filters (rows) that kept any. Dotted: the share of all weights.",
    whole=True,
)
def layers(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a bar for each layer, on a logarithmic axis where layers differ a lot."""
    found = context.layers
    if found is None or found.empty:
        return None
    found = found[found["task"] == cells["task"].iloc[0]]
    there = set(found["method"])
    found = found[found["method"].isin([*context.few, *context.control_curves[:1]])]
    if found.empty:
        return None
    regime = next(name for name in context.regimes if name in set(found["regime"]))
    found = found[found["regime"] == regime]
    wanted = found["sparsity"].unique()
    at = float(wanted[np.argmin(np.abs(wanted - SHOWN_AT))])
    found = found[np.isclose(found["sparsity"], at)]
    groups = [key for key, _ in found.groupby(KEY, sort=True)]
    across = min(panels.ACROSS, len(groups))
    task = cells["task"].iloc[0]
    left_out = not_drawn(len(there.intersection(context.longest_forms).difference(context.few)))
    grid = panels.PanelGrid(
        f"What each layer kept at {percent(at)} sparsity: {task} · {regime}",
        -(-len(groups) // across), across, {},
        ["outlined: filters or units that kept any weight", left_out],
        height=1.6, sharey=True,
    )  # fmt: skip
    shares = found["kept"] / found["weights"]
    low = float(shares[shares > 0].min()) if (shares > 0).any() else 1.0
    for axes, (model, method) in zip(grid.used(len(groups)), groups, strict=True):
        rows = found[(found["model"] == model) & (found["method"] == method)].sort_values("place")
        _bars(axes, rows, low)
        axes.set_title(f"{method} · {model}" if found["model"].nunique() > 1 else method)
        panels.stand_out([axes.title], [method], context)
    return grid.finish("layer, from input to output")


def _bars(axes: Axes, rows: pd.DataFrame, low: float) -> None:
    places = np.arange(1, len(rows) + 1)
    shares = (rows["kept"] / rows["weights"]).to_numpy()
    units = (rows["units_kept"] / rows["units"]).to_numpy()
    axes.bar(places, 100 * units, 0.85, facecolor="none", edgecolor="0.45", linewidth=0.6)
    axes.bar(places, 100 * shares, 0.6, color="#0173b2", linewidth=0)
    whole = 100 * rows["kept"].sum() / rows["weights"].sum()
    axes.axhline(whole, color="black", linewidth=0.8, linestyle=":")
    if low < 0.02:
        axes.set_yscale("log")
        panels.cost_axis(axes.yaxis)
        axes.set_ylim(max(0.01, 60 * low), 130)
    else:
        axes.set_ylim(0, 104)
    step = max(1, len(rows) // 6)
    axes.set_xticks(places[::step])
    axes.set_ylabel("kept (%)")
