"""The figures: error, gap and memorization against compression, error against MACs, scores.

seaborn and matplotlib take seconds to import, hence inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prunebench.files import replacing
from prunebench.records import DENSE
from prunebench.report import style
from prunebench.statistics import bands, score_subsets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("png", "pdf")
FOREST = "scores"
WIDE = 8  # largest over smallest error from which on the axis is logarithmic
ERROR_TICKS = [d * 10.0**e for e in (-2, -1, 0, 1, 2) for d in (1, 2, 5)]


@dataclass(frozen=True)
class Curve:
    """A figure of curves: a measure against a ratio, a panel for each regime and model."""

    name: str  # of the file, before the task
    measure: str
    ratio: str
    title: str
    y_label: str
    x_label: str
    scale: float = 100
    limits: tuple[float, float] = (-np.inf, np.inf)  # that bands cannot pass, after scaling


_COMPRESSION = "compression ratio (all weights / kept weights)"
CURVES = (
    Curve(
        "error-compression", "test_error", "compression_ratio",
        "Test error against compression", "test error (%)", _COMPRESSION, limits=(0, 100),
    ),
    Curve(
        "gap-compression", "generalization_gap", "compression_ratio",
        "Generalization gap against compression", "test − training error (points)", _COMPRESSION,
        limits=(-100, 100),
    ),
    Curve(
        "memorized-compression", "memorized", "compression_ratio",
        "Wrong labels memorized against compression", "mislabelled memorized (%)",
        _COMPRESSION, limits=(0, 100),
    ),
    Curve(
        "error-speedup", "test_error", "theoretical_speedup",
        "Test error against theoretical speed-up", "test error (%)",
        "theoretical speed-up (dense MACs / kept MACs)", limits=(0, 100),
    ),
)  # fmt: skip


def write(cells: pd.DataFrame, folder: Path) -> list[Path]:
    """Write every figure as PNG and PDF into ``folder``; return the paths.

    ``<figure>-<task>.png|.pdf`` for each of CURVES that has data, and ``scores.png|.pdf``.
    """
    written = []
    wanted = sorted({column for curve in CURVES for column in (curve.measure, curve.ratio)})
    points = bands(cells, wanted)
    for task in sorted(points["task"].unique()):
        rows = points[points["task"] == task]
        for curve in CURVES:
            if rows[f"{curve.measure}_n"].sum():
                figure = draw_curves(rows, curve)
                written += save(figure, folder, f"{curve.name}-{task}")
    return written + save(draw_forest(cells), folder, FOREST)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write PNG and PDF whole or not at all, without a date: same records, same bits."""
    paths = []
    for kind in KINDS:
        paths.append(folder / f"{name}.{kind}")
        metadata = {"Software": None} if kind == "png" else {"CreationDate": None}
        with replacing(paths[-1]) as temporary, _styled():
            figure.savefig(temporary, format=kind, dpi=style.DPI, metadata=metadata)
    return paths


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib as mpl

    settings: Any = style.RC  # the stubs ask for literal keys
    with mpl.rc_context(settings):
        yield


def draw_curves(rows: pd.DataFrame, curve: Curve) -> Figure:
    """Draw one task's curves: regimes across, models down; controls as horizontal lines."""
    from matplotlib.figure import Figure

    rows = rows[rows[f"{curve.measure}_n"] > 0]
    regimes, models = sorted(rows["regime"].unique()), sorted(rows["model"].unique())
    appearance = style.looks(rows["method"].unique())
    with _styled():
        width = style.PAGE_WIDTH if len(regimes) > 1 else 0.62 * style.PAGE_WIDTH
        legend_rows = -(-len(appearance) // _legend_columns(appearance, width))
        height = 0.75 + 0.19 * legend_rows + 2.05 * len(models)
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(
            len(models), len(regimes), squeeze=False, sharex=True, sharey="col"
        )
        for line, model in enumerate(models):
            for column, regime in enumerate(regimes):
                inside = rows[(rows["regime"] == regime) & (rows["model"] == model)]
                axes = panels[line][column]
                _panel(axes, inside, curve, appearance)
                axes.set_title(f"{regime} · {model}")
                if line == len(models) - 1:
                    axes.set_xlabel(fill(curve.x_label, 100 // len(regimes)))
        _error_axis(panels, rows, curve)
        title = fill(f"{curve.title}: {rows['task'].iloc[0]}", 70 if len(regimes) > 1 else 42)
        figure.suptitle(title, fontweight="bold")
        _legend(figure, appearance, int(rows["cells"].max()), bool(rows["failed"].sum()))
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, curve: Curve, appearance: dict[str, style.Look]) -> None:
    """Curves with bands, controls across the whole width, lost cells circled."""
    import seaborn as sns

    rows = rows.assign(ratio=rows[f"{curve.ratio}_mean"].fillna(rows["nominal"]))
    mean, low, high = (
        rows[f"{curve.measure}_{end}"] * curve.scale for end in ("mean", "low", "high")
    )
    rows = rows.assign(mean=mean, low=low.clip(*curve.limits), high=high.clip(*curve.limits))
    still = rows.groupby("method")["sparsity"].transform("max") == 0
    for method, (value, least, most) in (
        rows[still].set_index("method")[["mean", "low", "high"]].iterrows()
    ):
        look = appearance[str(method)]
        axes.axhline(value, color=look.colour, dashes=look.dashes, linewidth=1.2, zorder=1.5)
        axes.axhspan(least, most, color=look.colour, alpha=0.1, linewidth=0, zorder=0.5)
    moving = rows[~still]
    if len(moving):
        inside = {m: appearance[m] for m in moving["method"].unique()}
        sns.lineplot(
            moving, x="ratio", y="mean", hue="method", style="method", errorbar=None, sort=True,
            palette={m: look.colour for m, look in inside.items()},
            markers={m: look.marker for m, look in inside.items()},
            dashes={m: look.dashes for m, look in inside.items()},
            legend=False, ax=axes, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
    for method, points in moving.sort_values("ratio").groupby("method"):
        colour = appearance[str(method)].colour
        axes.fill_between(
            points["ratio"], points["low"], points["high"], color=colour, alpha=0.13, linewidth=0
        )
    lost = moving[moving["failed"] > 0]
    axes.plot(lost["ratio"], lost["mean"], **_LOST)
    _ratio_axis(axes, moving["ratio"])
    axes.set(xlabel="", ylabel="")


def _error_axis(panels: np.ndarray, rows: pd.DataFrame, curve: Curve) -> None:
    """Label the measure's axes; errors over a wide range get a log axis.

    On a linear axis a collapse to 70 % hides whether 4 % became 3.5 %.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    means = rows[f"{curve.measure}_mean"] * curve.scale
    positive = means[means > 0]
    wide = curve.measure == "test_error" and len(positive) and means.min() > 0
    wide = wide and positive.max() / positive.min() > WIDE
    for axes in panels[:, 0]:
        axes.set_ylabel(curve.y_label.replace("%)", "%, log scale)") if wide else curve.y_label)
    for column, regime in enumerate(sorted(rows["regime"].unique()) if wide else ()):
        inside = means[rows["regime"] == regime]
        # bands may reach 0; the axis ends where the curves do
        panels[0, column].set_ylim(0.7 * inside.min(), min(110, 1.3 * inside.max()))
    for axes in panels.flat if wide else ():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(ERROR_TICKS))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


_LOST: dict[str, Any] = {
    "linestyle": "", "marker": "o", "markersize": 9, "markerfacecolor": "none",
    "markeredgecolor": "black", "markeredgewidth": 0.8, "zorder": 5,
}  # fmt: skip


def _ratio_axis(axes: Axes, ratios: pd.Series) -> None:
    """log₂ with a tick at powers of two, written 2×, at most eight of them."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log", base=2)
    if len(ratios):
        first, last = np.floor(np.log2(ratios.min())), np.ceil(np.log2(ratios.max()))
        # panels share the axis: never narrow what another one needs
        left, right = (np.log2(edge) for edge in axes.get_xlim())
        step = max(1, int(np.ceil((max(last, right) - min(first, left)) / 8)))
        axes.xaxis.set_major_locator(FixedLocator(list(2.0 ** np.arange(-2, 21, step))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())


def _legend_columns(appearance: dict[str, style.Look], width: float) -> int:
    """How many names fit side by side in ``width`` inches, at the legend's font size."""
    return max(1, min(6, int(width / (0.7 + 0.063 * max(map(len, appearance))))))


def _legend(figure: Figure, appearance: dict[str, style.Look], seeds: int, lost: bool) -> None:
    """One legend below all panels, with what the bands and the circles are."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.colour, dashes=look.dashes, marker=look.marker, label=name)
        for name, look in appearance.items()
    ]
    band = f"band: 95 % interval over {seeds} seeds" if seeds > 1 else "one seed, no band"
    circles = "; circled: some seeds failed or collapsed" if lost else ""
    figure.legend(
        handles=handles, loc="outside lower center", title=band + circles, handlelength=3,
        ncols=_legend_columns(appearance, figure.get_figwidth()),
        title_fontsize=style.RC["legend.fontsize"],
    )  # fmt: skip


def draw_forest(cells: pd.DataFrame) -> Figure:
    """Scores with their intervals: over everything, and over each regime by itself."""
    from matplotlib.figure import Figure

    subsets = score_subsets(cells)
    regimes = sorted(cells["regime"].unique())
    shown = [
        ("all", "all", "all"),
        *((("all", r, "all") for r in regimes) if len(regimes) > 1 else ()),
    ]
    overall = subsets[shown[0]]
    methods = [m for m in overall["method"] if m != DENSE][::-1]
    appearance = style.looks(overall["method"])
    with _styled():
        width = min(style.PAGE_WIDTH, 1.4 + 2.0 * len(shown))
        figure = Figure(figsize=(width, 1.15 + 0.24 * len(methods)), layout="constrained")
        panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axes, key in zip(panels, shown, strict=True):
            _forest_panel(axes, subsets[key].set_index("method"), methods, appearance)
            axes.set_title(key[1] if key[1] != "all" or len(shown) == 1 else "all regimes")
        panels[0].set_yticks(range(len(methods)), methods)
        panels[0].set_ylim(-0.6, len(methods) - 0.4)
        figure.suptitle("Score: mean change of test error by pruning", fontweight="bold")
        figure.supxlabel(
            "test error minus dense (points, mean over log₂ compression; left is better)\n"
            "bar: 95 % interval over seeds, on these tasks",
            fontsize=style.RC["axes.labelsize"],
        )
    return figure


def _forest_panel(
    axes: Axes, rows: pd.DataFrame, methods: list[str], appearance: dict[str, style.Look]
) -> None:
    axes.axvline(0, color=style.DENSE_COLOUR, dashes=(6, 2), linewidth=1, zorder=1.5)
    axes.grid(visible=False, axis="y")
    for place, method in enumerate(methods):
        if method in rows.index:
            value, low, high = (float(rows[c][method]) for c in ("score", "low", "high"))
            look = appearance[method]
            axes.plot([low, high], [place, place], color=look.colour, marker="|", markersize=7)
            axes.plot(value, place, color=look.colour, marker=look.marker, markersize=4.5)
