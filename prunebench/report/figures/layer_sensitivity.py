"""What a network loses where one layer alone is pruned: a map of layers, and their curves."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics.rises_of_layers import rises
from prunebench.text.numbers import number, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 2  # panels a row: names of layers take room
FEW = 8  # layers that each have a colour of their own; of more, the colour is the depth
NAMED = 3  # of many curves, how many have their names beside them: the highest
WRITTEN = 12  # sparsities up to which a map's cells hold their numbers
LONGEST = 24  # letters of a layer's name
ROW, LOWEST = 0.17, 1.3  # inches: of a layer in a map, and the least of a panel
CROWDED, SMALL = 30, 6  # layers from which on letters are smaller; their size in points
_COLOURS = "YlOrRd"
_FLOOR = 1e-3  # of the largest rise: below it, curves run along the lower edge


@figure(
    "sensitivity-map-{task}",
    "Rise of the error on calibration samples, in points above dense, where one layer alone (or"
    " group of coupled filters, or block) is pruned and nothing is trained; mean over seeds, of the"
    " first regime, a panel a method. Layers stand in the network's order, from input to output."
    " Grey: not finite. A layer that is dark from the left on is better left alone.",
    whole=True,
)
def sensitivity_map(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw layers × sparsities, a colour for each; None where nothing was measured."""
    found = _measured(cells, context)
    if found is None:
        return None
    groups = _groups(found)
    most = max(rows["place"].nunique() for rows in groups.values())
    across = min(ACROSS, len(groups))
    grid = panels.PanelGrid(
        f"What each layer loses, pruned alone: {_where(found)}", -(-len(groups) // across), across,
        {}, height=max(LOWEST, 0.6 + _row(most) * most),
    )  # fmt: skip
    largest = max(float(found["error_rise"].max()), 1e-9)
    used = grid.used(len(groups))
    for axes, (name, rows) in zip(used, groups.items(), strict=True):
        image = _map(axes, rows, largest)
        axes.set_title(name)
    bar = grid.figure.colorbar(image, ax=used, shrink=0.8, pad=0.02)
    bar.set_label("rise of the error (points)")
    bar.outline.set_visible(False)
    return grid.finish("sparsity of the layer")


def _row(layers: int) -> float:
    return ROW if layers <= CROWDED else 0.65 * ROW


def _map(axes: Axes, rows: pd.DataFrame, largest: float) -> Any:
    """Draw one panel; return its image."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.colors import PowerNorm

    wide = rows.pivot(index="place", columns="sparsity", values="error_rise")
    names = rows.drop_duplicates("place").sort_values("place")["layer"]
    colours = mpl.colormaps[_COLOURS].with_extremes(bad="0.75")
    values = np.ma.masked_invalid(wide.to_numpy())
    image = axes.imshow(
        values.clip(0), aspect="auto", cmap=colours, norm=PowerNorm(0.5, vmin=0, vmax=largest),
        interpolation="nearest",
    )  # fmt: skip
    small = len(names) > CROWDED
    size = SMALL if small else SMALL + 0.5
    axes.set_yticks(
        range(len(names)), [short(name) for name in names], fontsize=SMALL if small else None
    )
    axes.set_xticks(range(len(wide.columns)), [percent(float(s)) for s in wide.columns])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(wide.columns) <= WRITTEN:
        for at, value in np.ndenumerate(wide.to_numpy()):
            if np.isfinite(value):
                dark = (max(value, 0) / largest) ** 0.5 > 0.6
                axes.text(
                    at[1], at[0], number(value, 0 if largest >= 10 else 1), ha="center",
                    va="center", color="white" if dark else "0.15", fontsize=size,
                )  # fmt: skip
    return image


@figure(
    "sensitivity-curves-{task}",
    "Rise of the loss on calibration samples above dense, where one layer alone (or group of"
    " coupled filters, or block) is pruned and nothing is trained, against the share of it that is"
    " gone; mean over seeds, of the first regime, a panel a method, on a logarithmic axis from a"
    " thousandth of the largest rise on: what rises less runs along the lower edge. Of many layers"
    " the colour is the depth, from dark (input) to light (output), and the highest are named. A"
    " curve that rises early is of a layer that is better left alone.",
    whole=True,
)
def sensitivity_curves(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a curve for each layer; None where there are no two sparsities to join."""
    found = _measured(cells, context)
    if found is None or not (found.groupby(["method", "place"])["sparsity"].nunique() > 1).any():
        return None
    groups = _groups(found)
    names = list(dict.fromkeys(name for rows in groups.values() for name in _names(rows).values()))
    few = len(names) <= FEW
    looks = style.line_styles(names) if few else {}
    across = min(ACROSS, len(groups))
    grid = panels.PanelGrid(
        f"What each layer loses, pruned alone: {_where(found)}", -(-len(groups) // across), across,
        looks, [] if few else ["dark to light: from input to output"], height=2.4, sharey=True,
    )  # fmt: skip
    largest = float(found["loss_rise"].max())
    floor = _FLOOR * largest if largest > 0 else 1e-6
    for axes, (name, rows) in zip(grid.used(len(groups)), groups.items(), strict=True):
        _curves(axes, rows, looks, floor)
        axes.set_title(name if few else f"{name}: {plural(rows['place'].nunique(), 'layer')}")
        _loss_axis(axes, floor, largest)
    return grid.finish("share of the layer that is gone (%)")


def _curves(axes: Axes, rows: pd.DataFrame, looks: panels.LineStyles, floor: float) -> None:
    import matplotlib as mpl

    names, depth = _names(rows), mpl.colormaps["viridis"]
    ends: dict[str, float] = {}
    for number_of, (place, name) in enumerate(names.items()):
        own = rows[rows["place"] == place].sort_values("removed")
        at, rise = 100 * own["removed"], own["loss_rise"].clip(lower=floor)
        ends[name] = float(own["loss_rise"].max())
        colour = depth(0.92 * number_of / max(len(names) - 1, 1))
        look = looks[name].line() if looks else {"color": colour, "linewidth": 0.9}
        axes.plot(at, rise, **look)
    if not looks:
        highest = sorted(ends, key=lambda name: -ends[name])[:NAMED]
        axes.text(
            0.03, 0.97, "\n".join(["highest:", *highest]), transform=axes.transAxes, va="top",
            fontsize=SMALL, color="0.2",
        )  # fmt: skip


def _loss_axis(axes: Axes, floor: float, largest: float) -> None:
    """Make an axis of losses logarithmic, with plain numbers: 0.1, 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_yscale("log")
    axes.set_ylim(0.8 * floor, 2 * max(largest, floor))
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("rise of the loss")


def _measured(cells: pd.DataFrame, context: FigureContext) -> pd.DataFrame | None:
    """Return the rises of the cells' task, of the first regime; None where there are none."""
    if context.sensitivity is None:
        return None
    found = rises(context.sensitivity)
    found = found[found["task"] == cells["task"].iloc[0]]
    if found.empty:
        return None
    regime = next(name for name in context.regimes if name in set(found["regime"]))
    return found[found["regime"] == regime]


def _groups(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each panel by its title."""
    several = found["model"].nunique() > 1
    return {
        f"{method} · {model}" if several else str(method): rows
        for (model, method), rows in found.groupby(["model", "method"], sort=True)
    }


def _where(found: pd.DataFrame) -> str:
    models = found["model"].unique()
    here = [found["task"].iloc[0], found["regime"].iloc[0], *(models if len(models) == 1 else [])]
    return " · ".join(map(str, here))


def _names(rows: pd.DataFrame) -> dict[Hashable, str]:
    first = rows.drop_duplicates("place").sort_values("place")
    return {place: short(name) for place, name in zip(first["place"], first["layer"], strict=True)}


def short(layer: str) -> str:
    """Return a layer's name for an axis: of a group the first, and how many there are beside it.

    Args:
        layer: as sensitivity.csv has it.
    """
    first, *others = layer.split(" + ")
    name = first.removesuffix(".weight")
    name = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
    return f"{name} +{len(others)}" if others else name
