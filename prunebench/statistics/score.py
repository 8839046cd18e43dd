"""The score: what pruning does to the test error over the whole range of compression."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.records import DENSE
from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cells import check_cells, counted
from prunebench.statistics.grid import SETTING, Grid, area, grids
from prunebench.statistics.significance import holm, sign_flip, verdict

ALPHA = 0.05
DRAWS = 10_000
RANDOM = "random"
ENTROPY = 2020  # of every bootstrap draw, with the setting's name
TIE = 1e-9  # points; errors are counts over a test set, so equal ones are equal
ALL = "all"


@dataclass(frozen=True)
class Part:
    """What one setting gives to the score; arrays (methods, seeds) in points, NaN is a hole."""

    grid: Grid
    against_baseline: Floats  # mean height of the difference over octaves
    against_reference: Floats
    chosen: Floats  # difference at the sparsity chosen on validation
    moved: Floats  # bootstrap deviations of the mean score (draws, methods)
    moved_chosen: Floats
    best: Floats  # (methods, 3): validation difference, its sparsity, test difference there
    tally: Floats  # (methods, 4): wins, ties, losses, holes


def score(
    cells: pd.DataFrame,
    baseline: str = DENSE,
    reference: str = RANDOM,
    alpha: float = ALPHA,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Score every method against ``baseline``; one row a method, best first, incomplete ones last.

    ``score``: test error minus that of the baseline with the same seed, in points, integrated
    (trapezoid) over log₂ of the nominal compression ratio 1/(1 − sparsity) and divided by the
    range, so that it is a mean difference in points; seeds averaged within a setting (task,
    regime, model), settings weighted equally. Negative is better than the baseline. The nominal
    ratio gives all methods the same grid points; the achieved one is for figures.
    ``low``, ``high``: 95 % bootstrap interval over seeds within the settings, draws shared by all
    methods; NaN where a setting has one seed. ``chosen*``: the same for the value at the sparsity
    with the lowest mean validation error (chosen anew in each draw; ties go to the sparser).
    ``p_*``: exact sign-flip test over seeds, Holm-adjusted over methods; ``against_*`` in words.
    ``wins, ties, losses``: cells against the baseline of their seed. ``best_*``: the setting and
    sparsity with the lowest validation difference, and the test difference there.
    ``missing``: points of the grid (all settings, seeds with a baseline, all sparsities) without
    a record; where there are any, ``complete`` is False and the score stands on the rest.
    Raises PrunebenchError for a table that ``check_cells`` refuses or without a baseline.
    """
    parts = split(cells, baseline, reference, draws)
    return _score(parts, _families(cells), baseline, reference, alpha)


def score_subsets(
    cells: pd.DataFrame,
    baseline: str = DENSE,
    reference: str = RANDOM,
    alpha: float = ALPHA,
    draws: int = DRAWS,
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """``score`` for each combination of task, regime and model, or ``all`` in their place.

    Only combinations that have cells; ``("all", "all", "all")`` comes first.
    """
    parts = split(cells, baseline, reference, draws)
    families = _families(cells)
    axes = [[ALL, *sorted({part.grid.setting[i] for part in parts})] for i in range(len(SETTING))]
    found = {}
    for wanted in product(*axes):
        chosen = [part for part in parts if _within(part.grid.setting, wanted)]
        if chosen:
            key = (wanted[0], wanted[1], wanted[2])
            found[key] = _score(chosen, families, baseline, reference, alpha)
    return found


def _within(setting: Iterable[str], wanted: Iterable[str]) -> bool:
    return all(w in (ALL, s) for s, w in zip(setting, wanted, strict=True))


def _families(cells: pd.DataFrame) -> dict[str, str]:
    pairs = cells[["method", "family"]].drop_duplicates()
    return dict(pairs.itertuples(index=False, name=None))


def split(cells: pd.DataFrame, baseline: str, reference: str, draws: int) -> list[Part]:
    """Check the cells and prepare each setting by itself, its bootstrap included."""
    check_cells(cells)
    return [_part(grid, baseline, reference, draws) for grid in grids(counted(cells), baseline)]


def _part(grid: Grid, baseline: str, reference: str, draws: int) -> Part:
    gaps = grid.difference(baseline)
    val_gaps = grid.difference(baseline, grid.val)
    areas = area(gaps, grid.octaves)
    versus = np.full(areas.shape, np.nan)
    if reference in grid.methods:
        versus = area(grid.difference(reference), grid.octaves)
    weights = bootstrap.seed_weights(grid.setting, len(grid.seeds), draws, ENTROPY)
    even = np.full((1, len(grid.seeds)), 1 / len(grid.seeds))
    at = _choose(even, grid.val)[0]  # (methods,)
    chosen = np.take_along_axis(gaps, at[:, None, None], axis=2)[:, :, 0]
    chosen[np.isnan(grid.val).all(axis=(1, 2))] = np.nan
    moved_chosen = _resampled_choice(weights, grid.val, gaps) - bootstrap.mean_or_nan(chosen, 1)
    return Part(
        grid, areas, versus, chosen,
        bootstrap.deviations(weights, areas),
        moved_chosen * bootstrap.variance_factor(chosen),
        _best(grid, gaps, val_gaps),
        _tally(gaps),
    )  # fmt: skip


def _choose(weights: Floats, val: Floats) -> NDArray[np.int_]:
    """Index of the sparsity with the lowest mean validation error, (draws, methods)."""
    methods, seeds, width = val.shape
    flat = val.transpose(1, 0, 2).reshape(seeds, methods * width)
    means = bootstrap.weighted_mean(weights, flat).reshape(-1, methods, width).round(9)
    means = np.where(np.isnan(means), np.inf, means)
    at: NDArray[np.int_] = width - 1 - np.argmin(means[..., ::-1], axis=-1)
    return at


def _resampled_choice(weights: Floats, val: Floats, gaps: Floats) -> Floats:
    """Mean difference at the sparsity chosen within each draw, (draws, methods)."""
    methods, seeds, width = gaps.shape
    flat = gaps.transpose(1, 0, 2).reshape(seeds, methods * width)
    means = bootstrap.weighted_mean(weights, flat).reshape(-1, methods, width)
    return np.take_along_axis(means, _choose(weights, val)[..., None], axis=2)[..., 0]


def _best(grid: Grid, gaps: Floats, val_gaps: Floats) -> Floats:
    """Per method the lowest mean validation difference, its sparsity, the test difference."""
    val, test = bootstrap.mean_or_nan(val_gaps, 1), bootstrap.mean_or_nan(gaps, 1)
    ranked = np.where(np.isnan(val), np.inf, val.round(9))
    at = val.shape[1] - 1 - np.argmin(ranked[:, ::-1], axis=1)
    rows = np.arange(len(at))
    return np.column_stack([val[rows, at], grid.sparsities[at], test[rows, at]])


def _tally(gaps: Floats) -> Floats:
    per_cell = [gaps < -TIE, np.abs(gaps) <= TIE, gaps > TIE, np.isnan(gaps)]
    return np.column_stack([which.sum(axis=(1, 2)) for which in per_cell])


def _score(
    parts: list[Part], families: dict[str, str], baseline: str, reference: str, alpha: float
) -> pd.DataFrame:
    """Combine settings into the table that ``score`` describes."""
    methods = list(parts[0].grid.methods)
    table = pd.DataFrame({"method": methods, "family": [families[m] for m in methods]})
    for name, per_seed, moved in (
        ("score", [p.against_baseline for p in parts], [p.moved for p in parts]),
        ("chosen", [p.chosen for p in parts], [p.moved_chosen for p in parts]),
    ):
        point, ends = _estimate(per_seed, moved)
        is_baseline = np.array([m == baseline for m in methods])
        ends[:, is_baseline] = np.nan  # compared with itself: no uncertainty to show
        prefix = "" if name == "score" else f"{name}_"
        table[name], table[f"{prefix}low"], table[f"{prefix}high"] = point, *ends
    against = {
        baseline: [p.against_baseline for p in parts],
        reference: [p.against_reference for p in parts],
    }
    for other, column in ((baseline, "baseline"), (reference, "reference")):
        p, words = _compare(parts, against[other], {baseline, other}, other, alpha)
        table[f"p_{column}"], table[f"against_{column}"] = p, words
    tally = np.sum([p.tally for p in parts], axis=0)
    tally[methods.index(baseline), :3] = 0  # against itself there is nothing to win
    for position, column in enumerate(("wins", "ties", "losses", "missing")):
        table[column] = tally[:, position]
    table["cells"] = np.sum([p.grid.cells for p in parts], axis=0)
    table["failed"] = np.sum([p.grid.failed for p in parts], axis=0)
    table["complete"] = table["missing"] == 0
    table = table.join(_best_over(parts))
    table = table[table["cells"] > 0]
    order = ["complete", "score", "method"]
    return table.sort_values(order, ascending=[False, True, True]).reset_index(drop=True)


def _estimate(per_seed: list[Floats], moved: list[Floats]) -> tuple[Floats, Floats]:
    """Mean over settings and its interval, per method, over the settings that a method has."""
    means = np.stack([bootstrap.mean_or_nan(values, 1) for values in per_seed])
    point = bootstrap.mean_or_nan(means, 0)
    spread = [bootstrap.variance_of_mean(values) for values in per_seed]
    variances, free = (np.stack(each) for each in zip(*spread, strict=True))
    there = ~np.isnan(means)
    # a setting with one seed has no spread to resample: then there is no interval
    single = (there & np.isnan(free)).any(axis=0)
    stacked = np.where(there[:, None, :], np.stack(moved), 0.0)
    drawn = stacked.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    ends = bootstrap.interval(point, drawn, bootstrap.stretch(variances, free))
    ends[:, single | ~there.any(axis=0)] = np.nan
    return point, ends


def _compare(
    parts: list[Part], values: list[Floats], aside: set[str], other: str, alpha: float
) -> tuple[Floats, list[str]]:
    """Holm-adjusted p and words per method; ``aside``: methods that are not compared."""
    methods = parts[0].grid.methods
    seeds = np.unique(np.concatenate([part.grid.seeds for part in parts]))
    p, total, counts = np.full(len(methods), np.nan), np.zeros(len(methods)), [0] * len(methods)
    for m, method in enumerate(methods):
        shares, used = _seed_shares(parts, [v[m] for v in values], seeds)
        if method not in aside and used.any():
            p[m], total[m] = sign_flip(shares[used]), shares.sum()
            counts[m] = int(used.sum())
    adjusted, family = holm(p), int((~np.isnan(p)).sum())
    words = [
        "reference" if method == other
        else "–" if method in aside or not counts[m]
        else verdict(adjusted[m], total[m], counts[m], family, other, alpha)
        for m, method in enumerate(methods)
    ]  # fmt: skip
    return adjusted, words


def _seed_shares(parts: list[Part], values: list[Floats], seeds: Floats) -> tuple[Floats, Floats]:
    """What each seed adds to the score, so that the shares sum to it; and which seeds take part.

    A sign flip of a seed flips it in all settings at once: the seed is the unit that repeats.
    """
    shares, used = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=bool)
    present = [~np.isnan(v) for v in values]
    settings = sum(bool(there.any()) for there in present)
    for part, v, there in zip(parts, values, present, strict=True):
        if there.any():
            at = np.searchsorted(seeds, part.grid.seeds[there])
            shares[at] += v[there] / (settings * there.sum())
            used[at] = True
    return shares, used


def _best_over(parts: list[Part]) -> pd.DataFrame:
    """The setting and sparsity with the lowest validation difference, per method."""
    best = np.stack([part.best for part in parts])
    which = np.argmin(np.where(np.isnan(best[..., 0]), np.inf, best[..., 0].round(9)), axis=0)
    columns = np.arange(best.shape[1])
    picked = best[which, columns]
    none = np.isnan(picked[:, 0])
    names = [parts[i].grid.setting for i in which]
    made = {f"best_{axis}": [n[j] for n in names] for j, axis in enumerate(SETTING)}
    table = pd.DataFrame({**made, "best_sparsity": picked[:, 1], "best_difference": picked[:, 2]})
    table[none] = np.nan
    return table
