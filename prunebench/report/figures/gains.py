"""The gain over noise and training size, and against measures that may predict it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext, not_drawn
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics import SETTING
from prunebench.storage.records import ALL
from prunebench.text.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEATMAPS = 6  # methods, in two rows
PLACE = ["label_noise", "train_samples"]
PREDICTORS = {
    "instability": "instability: rise of validation\nerror at pruning (points)",
    "distance": "distance from\ninitialization (L2 norm)",
    "sharpness": "sharpness: rise of the loss at\none ascent step (nat)",
}
SCALES = {"instability": 100}
WIDE = 20  # largest over smallest value from which on an axis is logarithmic


@figure(
    "gain-noise-size",
    "The gain, dense minus own test error with the same seed, in points, at the sparsity that"
    " validation chose, over the share of wrong training labels and the number of training"
    " samples. Positive (blue) is better than dense; bold: the 95 % interval excludes 0.",
    whole=True,
)
def gain_noise_size(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a heatmap for each method, all with one scale; regimes that differ in nothing else."""
    values = _chosen(cells, context)
    there = set(values["method"]).intersection(context.longest_forms)
    methods = [m for m in context.few if m in there][:HEATMAPS]
    if not methods or len(values[PLACE].drop_duplicates()) < 2:
        return None
    from matplotlib.figure import Figure

    across = min(len(methods), 2 if panels.narrow() else panels.ACROSS)
    lines = -(-len(methods) // across)
    noises = values["label_noise"].nunique()
    width = panels.width_of(across)
    made = Figure(figsize=(width, lines * (0.5 + 0.36 * max(noises, 2)) + 0.75),
                  layout="constrained")  # fmt: skip
    title = "Gain at the sparsity chosen on validation, by noise and training size"
    made.suptitle(panels.wrapped(title, int(10.5 * width)), fontweight="bold")
    grid = made.subplots(lines, across, squeeze=False, sharex=True, sharey=True)
    shown = values[values["method"].isin(methods)]
    limit = max(float(shown["gain"].abs().max()), context.analysis.equivalence)
    used = list(grid.flat)[: len(methods)]
    for axes in list(grid.flat)[len(methods) :]:
        axes.remove()
    for place, (axes, method) in enumerate(zip(used, methods, strict=True)):
        _heatmap(axes, shown, method, limit)
        panels.stand_out([axes.title], [method], context)
        axes.tick_params(labelbottom=place + across >= len(methods))
    bar = made.colorbar(used[0].collections[0], ax=used, shrink=0.9, aspect=25)
    bar.set_label("gain (points)")
    size = style.RC["axes.labelsize"]
    left_out = not_drawn(len(there) - len(methods))
    made.supxlabel("\n".join(filter(None, ["training samples", left_out])), fontsize=size)
    made.supylabel("wrong training labels", fontsize=size)
    return made


def _chosen(cells: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """Return each method's gain at each noise rate and training size, and whether it is sure."""
    plain = ~cells["augmentation"].astype(str).str.lower().isin(["true", "1", "1.0"])
    plain &= cells["width"].fillna(1.0) == 1
    plain &= cells["noise"].isna() | (cells["noise"] == "symmetric")
    found = cells[plain].groupby(["task", "regime"], sort=True)[PLACE].first().dropna()
    places = found.reset_index().itertuples(index=False, name=None)
    tables = [
        context.scores[key].reset_index().assign(label_noise=noise, train_samples=samples)
        for task, regime, noise, samples in places
        if (key := (str(task), str(regime), ALL)) in context.scores
    ]
    if not tables:
        return pd.DataFrame(columns=["method", "gain", *PLACE])
    table = pd.concat(tables)
    table = table[table["chosen"].notna() & table["method"].isin(context.candidates)]
    sure = (table["chosen_low"] > 0) | (table["chosen_high"] < 0)
    table = table.assign(gain=-table["chosen"], sure=sure.astype(float))
    return table.groupby(["method", *PLACE], sort=True)[["gain", "sure"]].mean().reset_index()


def _heatmap(axes: Axes, values: pd.DataFrame, method: str, limit: float) -> None:
    """Draw one method's gains as coloured cells with their numbers; grey cells were not run."""
    index = sorted(values["label_noise"].unique())
    columns = sorted(values["train_samples"].unique())
    own = values[values["method"] == method]
    gain, sure = (
        own.pivot(index=PLACE[0], columns=PLACE[1], values=each)
        .reindex(index=index, columns=columns)
        .to_numpy(float)
        for each in ("gain", "sure")
    )
    # not seaborn's heatmap: it calls what matplotlib is about to remove
    axes.pcolormesh(
        np.ma.masked_invalid(gain), cmap="RdBu", vmin=-limit, vmax=limit, edgecolors="white",
        linewidth=0.8,
    )  # fmt: skip
    for y, x in np.argwhere(~np.isnan(gain)):
        value = float(gain[y, x])
        axes.text(
            x + 0.5, y + 0.5, number(value, 1, sign=True), ha="center", va="center",
            fontsize=7, fontweight="bold" if sure[y, x] == 1 else "normal",
            color="white" if abs(value) > 0.62 * limit else style.BLACK,
        )  # fmt: skip
    axes.set_xticks(np.arange(len(columns)) + 0.5, [f"{value:g}" for value in columns])
    axes.set_yticks(np.arange(len(index)) + 0.5, [f"{100 * value:g} %" for value in index])
    axes.set(facecolor="0.88", title=method)
    axes.grid(visible=False)
    axes.tick_params(axis="both", length=0)


@figure(
    "predictors",
    "The gain of a cell, dense minus own test error, in points, against what may predict it:"
    " instability at pruning, distance from initialization, and sharpness. A point is a method at"
    " a sparsity, mean over seeds; a marker is a regime. ρ: the rank correlation over the points"
    " of the panel, without regard to sparsity; the report's text has the one within settings.",
    whole=True,
)
def predictors(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a panel for each predictor that was recorded."""
    pruned = cells[(cells["sparsity"] > 0) & (cells["status"] == "ok") & cells["gain"].notna()]
    pruned = pruned[pruned["method"].isin(context.candidates)]
    shown = [name for name in PREDICTORS if pruned[name].notna().any()]
    if not shown:
        return None
    means = pruned.groupby([*SETTING, "method", "sparsity"], sort=True)[["gain", *shown]].mean()
    rows = means.reset_index()
    styles = {
        regime: style.LineStyle(
            style.PALETTE[i % len(style.PALETTE)], style.MARKERS[i % len(style.MARKERS)], width=0.0
        )
        for i, regime in enumerate(r for r in context.regimes if r in set(rows["regime"]))
    }
    grid = panels.PanelGrid(
        "What predicts the gain: instability, distance, sharpness", 1, len(shown), styles,
        ["a point: a method at a sparsity, mean over seeds"], 2.3, sharey=True,
    )  # fmt: skip
    for axes, name in zip(grid.panels[0], shown, strict=True):
        _scatter(axes, rows.dropna(subset=[name]), name, styles)
    grid.panels[0][0].set_ylabel("gain (points; above 0 is better)")
    return grid.finish()


def _scatter(axes: Axes, rows: pd.DataFrame, name: str, styles: dict[str, style.LineStyle]) -> None:
    import seaborn as sns
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows = rows.assign(x=rows[name] * SCALES.get(name, 1))
    sns.scatterplot(
        rows, x="x", y="gain", hue="regime", style="regime", hue_order=list(styles),
        style_order=list(styles), palette={k: look.colour for k, look in styles.items()},
        markers={k: look.marker for k, look in styles.items()}, s=14, alpha=0.75, linewidth=0.3,
        legend=False, ax=axes,
    )  # fmt: skip
    axes.axhline(0, color=style.BLACK, linewidth=0.8, zorder=1)
    low, high = rows["x"].min(), rows["x"].max()
    wide = low > 0 and high / low > WIDE
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(PREDICTORS[name] + (", log scale" if wide else ""))
    if len(rows) > 2 and rows["x"].nunique() > 1 and rows["gain"].nunique() > 1:
        value = np.corrcoef(rows["x"].rank(), rows["gain"].rank())[0, 1]
        axes.set_title(f"ρ = {number(value, 2, sign=True)}", loc="right", fontsize=7.5)
