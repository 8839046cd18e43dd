"""The curve of what was tried: validation error over the share that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.report.figures import style
from prunebench.report.figures.figure_registry import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT, LINE = 2.6, 0.17  # inches: without the legend, and of a line of it
ACROSS = 2  # names side by side in the legend, which stands below: a telephone shows all of it
_CIRCLE: dict[str, Any] = {
    "markersize": 13, "markeredgewidth": 1.6, "markerfacecolor": "none",
    "markeredgecolor": style.BLACK,
}  # fmt: skip


def draw(
    tried: pd.DataFrame, column: str, label: str, *, dense_error: float,
    chosen: int | None, share: float | None,
) -> Figure:  # fmt: skip
    """Draw the networks that were tried, the dense one, the budget, and the one that was taken.

    Args:
        tried: a row a network: ``method``, ``candidate``, ``val_error`` and the shares.
        column: the share that is kept, of the horizontal axis.
        label: what it is a share of.
        dense_error: on validation, a fraction.
        chosen: the row of the one that was taken; None where none was.
        share: the budget; None where there is none.
    """
    from matplotlib.figure import Figure

    there = tried.dropna(subset=[column, "val_error"])
    methods = list(dict.fromkeys(there.loc[there["candidate"], "method"]))
    others = [m for m in dict.fromkeys(there["method"]) if m not in methods]
    looks = style.line_styles(methods, others, ["dense"])
    with styled():
        lines = -(-(len(looks) + (chosen is not None)) // ACROSS)
        size = style.COLUMN_WIDTH, HEIGHT + LINE * lines
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.axhline(100 * dense_error, label="dense", **_line(looks["dense"]))
        for method in [*methods, *others]:
            rows = there[there["method"] == method].sort_values(column)
            axes.plot(
                100 * rows[column], 100 * rows["val_error"], label=method, **looks[method].line()
            )
        if share is not None:
            axes.axvline(100 * share, color="0.55", linewidth=0.9, linestyle=(0, (2, 2)))
            axes.annotate(
                "budget", (100 * share, 1), xycoords=("data", "axes fraction"), xytext=(3, -9),
                textcoords="offset points", color="0.35",
            )  # fmt: skip
        if chosen is not None:
            taken = tried.loc[chosen]
            axes.plot(100 * taken[column], 100 * taken["val_error"], "o", label="taken", **_CIRCLE)
        axes.set_xlabel(f"{label} kept (%)")
        axes.set_ylabel("validation error (%)")
        axes.margins(x=0.04, y=0.12)
        figure.legend(loc="outside lower center", ncols=ACROSS)
    return figure


def _line(look: style.LineStyle) -> dict[str, Any]:
    return {"color": look.colour, "linewidth": look.width}
