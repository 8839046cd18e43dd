"""Comparisons of methods that differ in one part: the criterion, or the recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from prunebench.experiment.settings import PARTS
from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import EMPHASISED, FigureContext, not_drawn
from prunebench.report.figures.figure_registry import figure
from prunebench.statistics import SETTING, bands
from prunebench.statistics.hypotheses.paired_methods import nearest_partner
from prunebench.statistics.hypotheses.recovery import CONTINUING, REWINDING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# of the control: the parts that it must share, and the dashes of the comparison
CHANCE = {"random": (("pattern",), ()), "shuffled": (("pattern", "criterion"), (4, 1.5))}
ALIKE = ("schedule", "recovery")
SAME = ("criterion", "pattern", "allocation", "schedule")
POINTS = (-100.0, 100.0)


@figure(
    "criterion",
    "What the criterion adds: test error of random weights minus that of the chosen ones at equal"
    " sparsity, schedule and recovery, with the same seed, in points (above 0 the criterion helps)."
    " Solid: against random weights; dashed: against random weights with the method's own"
    " proportions of the layers (shuffled). A panel a regime.{Bands}",
)
def criterion(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw a curve for each method and each control that shares its schedule and recovery."""
    tables, styles, left_out = [], {}, set()
    # highlighted ones first, so that they come first in the legend
    ordered = dict.fromkeys([*context.few, *context.longest_forms])
    for method in (name for name in ordered if name in _methods_with_parts(context)):
        for kind, (must, dashes) in CHANCE.items():
            hidden = {method, *context.other_lengths}
            others = [m for m in context.table.controls_of_kind(kind) if m not in hidden]
            pair = nearest_partner(context.table, method, others, must, ALIKE)
            if pair is None or pair.differs:
                continue
            if method not in context.few:
                left_out.add(method)
                continue
            name = f"{method} against {pair.other}"
            tables.append(_less(cells, method, pair.other).assign(method=name))
            own = context.few_styles[method]
            fill = "white" if kind == "shuffled" else None
            styles[name] = style.LineStyle(own.colour, own.marker, dashes, fill=fill)
    title = "What the criterion adds to random weights"
    label = "test error of random\n− own (points)"
    note = not_drawn(len(left_out))
    return _draw(title, label, pd.concat(tables), styles, context, note) if tables else None


@figure(
    "recovery",
    "Rewinding against fine-tuning: the gain, dense minus own test error with the same seed, in"
    " points, of methods that differ in their recovery alone, against compression, a panel a"
    " regime. A colour is a recovery, a marker what was recovered from.{Bands}",
)
def recovery(cells: pd.DataFrame, context: FigureContext) -> Figure | None:
    """Draw groups of methods that differ in fine-tuning or rewinding alone.

    Highlighted ones come first, then the largest group.
    """
    hidden = [context.baseline, *context.other_lengths]
    made = context.parts.drop(index=hidden, errors="ignore")
    made = made[made["recovery"].notna() & ~made.index.isin(context.levels)]
    groups = [
        own
        for _, own in made.groupby(list(SAME), dropna=False, sort=True)
        if {CONTINUING} <= set(own["recovery"])
        and set(own["recovery"]) & set(REWINDING)
        and set(own.index) & set(context.candidates)
    ]
    groups.sort(key=lambda own: (own.index.isin(context.highlight).any(), len(own)), reverse=True)
    kept = [own for i, own in enumerate(groups) if sum(map(len, groups[: i + 1])) <= EMPHASISED]
    kept = kept or groups[:1]
    kinds = sorted({kind for own in kept for kind in own["recovery"]})
    styles = {
        f"{own.loc[method, 'recovery']}: {method}": style.LineStyle(
            style.PALETTE[kinds.index(own.loc[method, "recovery"]) % len(style.PALETTE)],
            style.MARKERS[i % len(style.MARKERS)],
            style.DASHES[kinds.index(own.loc[method, "recovery"]) % len(style.DASHES)],
        )
        for i, own in enumerate(kept)
        for method in own.index
    }
    styles = dict(sorted(styles.items()))
    names = {name.partition(": ")[2]: name for name in styles}
    rows = cells[cells["method"].isin(list(names)) & cells["gain"].notna()]
    if rows.empty:
        return None
    title = "Rewinding against fine-tuning: gain over the dense network"
    rows = rows.assign(method=rows["method"].map(names))
    note = not_drawn(sum(map(len, groups)) - sum(map(len, kept)))
    return _draw(title, "gain (points;\nabove 0 is better)", rows, styles, context, note)


def _methods_with_parts(context: FigureContext) -> set[str]:
    """Return the methods whose parts the records name."""
    made = context.table.parts
    return set(made.index[made[list(PARTS)].notna().all(axis=1)])


def _less(cells: pd.DataFrame, method: str, other: str) -> pd.DataFrame:
    """Return ``method``'s cells with ``gain``: error of ``other`` minus own error, in points."""
    keys = [*SETTING, "seed", "sparsity"]
    own = cells[cells["method"] == method]
    beside = cells.loc[cells["method"] == other, [*keys, "test_error"]]
    both = own.merge(beside, on=keys, suffixes=("", "_other"))
    return both.assign(gain=100 * (both["test_error_other"] - both["test_error"]))


def _draw(
    title: str,
    label: str,
    rows: pd.DataFrame,
    styles: dict[str, style.LineStyle],
    context: FigureContext,
    note: str,
) -> Figure:
    """Draw a panel for each setting of every task."""
    found = bands(rows, ["gain", "compression_ratio"])
    several = found["task"].nunique() > 1
    names = found["regime"] + " · " + found["task"] if several else found["regime"]
    places = {regime: i for i, regime in enumerate(context.regimes)}
    order = found.assign(place=found["regime"].map(places), regime=names)
    settings = list(
        order.sort_values(["task", "model", "place"])[["regime", "model"]]
        .drop_duplicates().itertuples(index=False, name=None)
    )  # fmt: skip
    lines, across = panels.grid_shape(settings)
    seeds = int(found["cells"].max())
    band = f"band: 95 % interval over {seeds} seeds" if seeds > 1 else "one seed, no band"
    grid = panels.PanelGrid(title, lines, across, styles, [band, note], 2.4 if across == 1 else 1.7,
                         sharex=True)  # fmt: skip
    used = grid.used(len(settings))
    for place, (axes, setting) in enumerate(zip(used, settings, strict=True)):
        drawn = panels.curves(axes, panels.rows_of(order, setting), "gain", styles, 1, POINTS)
        panels.value_axis(axes, drawn, styles)
        axes.axhline(0, color=style.BLACK, linewidth=0.9, zorder=1.2)
        axes.set_title(panels.title_of(setting, settings))
        if place % across == 0:
            axes.set_ylabel(label)
    panels.ratio_axis(used, found)
    return grid.finish(panels.COMPRESSION)
