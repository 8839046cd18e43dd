"""Arrange the cells of one setting in arrays, method × seed × sparsity, and average over them."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, suggest
from prunebench.statistics.bootstrap import Floats, mean_or_nan
from prunebench.statistics.sample_error import sample_errors
from prunebench.statistics.training_outcomes import OUTCOME, outcomes
from prunebench.storage.records import FAILED_TO_TRAIN

SETTING = ["task", "regime", "model"]  # of a baseline, seeds apart
# of a hundred columns and more, which are not to be taken row by row for each setting
_READ = frozenset(
    {
        *SETTING, "seed", "method", "sparsity", "test_error", "choice_error", "octaves", "failed",
        "unfinished", "at_chance", "chance", OUTCOME, "test_samples", "flips_to_wrong",
        "flips_to_right",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """One setting. Arrays are (methods, seeds, sparsities), in fractions; a hole is NaN.

    A method that has sparsity 0 only (the dense baseline, a control) stands at every sparsity.
    """

    setting: tuple[str, str, str]
    methods: tuple[str, ...]
    seeds: NDArray[np.int_]
    sparsities: Floats
    test: Floats  # NaN: no record, or one that failed
    val: Floats  # of the labels by which choices are made
    octaves: Floats  # (methods, sparsities): log₂ of the compression achieved, mean over seeds
    constant: NDArray[np.bool_]  # methods at sparsity 0 only
    missing: NDArray[np.int_]  # points of the grid per method without a record
    cells: NDArray[np.int_]  # rows per method
    failed: NDArray[np.int_]  # rows per method that failed
    left_out: NDArray[np.int_]  # rows per method that failed, or whose baseline did
    under_trained: NDArray[np.int_]  # rows per method
    collapsed: NDArray[np.int_]  # sparsities per method at which it collapses
    dead: NDArray[np.bool_]  # (methods, sparsities): half of the networks or more learned nothing
    unpaired: bool  # the baseline's seeds are others than the methods'
    sample: Floats  # (methods, sparsities): standard error over test samples, points
    span: tuple[float, float]  # octaves over which the methods are integrated

    def difference(self, reference: str, values: Floats | None = None) -> Floats:
        """Return the error minus that of ``reference`` with the same seed and sparsity, in points.

        In an unpaired setting the reference is its mean over seeds.

        Args:
            reference: A method.
            values: (methods, seeds, sparsities), in fractions; default: the test errors.
        """
        values = self.test if values is None else values
        other = values[self.methods.index(reference)]
        if self.unpaired:
            other = np.broadcast_to(mean_or_nan(other, 0), other.shape)
        points: Floats = 100 * (values - other[None])
        return points


def grids(
    cells: pd.DataFrame, baseline: str, candidates: Collection[str] = (), published: bool = False
) -> list[Grid]:
    """Arrange counted cells in a grid for each setting.

    Args:
        cells: As ``counted`` returns them, in any order.
        baseline: Seeds without it are left out, and settings without any.
        candidates: The methods whose achieved compression decides over which range of it all are
            integrated; default: all.
        published: Whether a setting in which some seed has no baseline of its own is compared
            without pairs. One's own is only where no seed has one.

    Returns:
        Grids with the same methods in the same order.

    Raises:
        PrunebenchError: No seed has a finished baseline.
    """
    cells = cells[[name for name in cells.columns if name in _READ]]
    methods = tuple(sorted(cells["method"].unique()))
    if baseline not in methods:
        raise PrunebenchError(f"no cells of the baseline {baseline!r}{suggest(baseline, methods)}")
    pruned = cells.groupby("method")["sparsity"].max()
    constant = frozenset(pruned.index[pruned == 0])
    kept = [
        made
        for key, rows in cells.groupby(SETTING, sort=True)
        if (made := _grid(key, rows, methods, constant, baseline, candidates, published))
    ]
    if not kept:
        dense = outcomes(cells[cells["method"] == baseline])
        untrained = int((dense == FAILED_TO_TRAIN).sum())
        why = f" ({untrained} of {len(dense)} failed to train: their settings do not suit them)"
        raise PrunebenchError(
            f"no seed has a finished baseline {baseline!r}: nothing to compare with"
            f"{why if untrained else ''}"
        )
    return kept


def _grid(
    key: tuple[Hashable, ...], rows: pd.DataFrame, methods: tuple[str, ...],
    constant: frozenset[str], baseline: str, candidates: Collection[str], published: bool,
) -> Grid | None:  # fmt: skip
    """Return the grid of a setting; None where it has no finished baseline."""
    still = rows["method"] == baseline
    finished = set(rows.loc[still & ~rows["failed"], "seed"])
    if not finished:
        return None
    others = set(rows.loc[~still, "seed"])
    recorded = set(rows.loc[still, "seed"])
    unpaired = bool(others) and (not others <= recorded if published else not others & recorded)
    seeds = np.array(sorted(finished | others if unpaired else finished))
    usable = rows["seed"].isin(seeds)
    target = rows["sparsity"].to_numpy(float).round(10)
    fixed = rows["method"].isin(constant).to_numpy()
    sparsities = np.unique(target[~fixed]) if (~fixed).any() else np.zeros(1)
    places = {name: i for i, name in enumerate(methods)}
    m = rows["method"].map(places).to_numpy()
    count = len(methods)
    failed = rows["failed"].to_numpy(bool)
    out = failed | ~usable.to_numpy(bool)
    shape = (count, len(seeds), len(sparsities))
    test, val, there = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    inside = usable.to_numpy(bool)
    s = np.searchsorted(seeds, rows["seed"].to_numpy()[inside])
    k = np.searchsorted(sparsities, target[inside])
    own, flat = m[inside], fixed[inside]
    for array, values in (
        (test, rows["test_error"].to_numpy(float)[inside]),
        (val, rows["choice_error"].to_numpy(float)[inside]),
        (there, np.ones(len(own), dtype=bool)),
    ):
        array[own[~flat], s[~flat], k[~flat]] = values[~flat]
        array[own[flat], s[flat], :] = values[flat, None]
    collapsed = _collapsed(rows, m, np.where(fixed, 0.0, target))
    is_constant = np.array([name in constant for name in methods])
    octaves = _octaves(rows, m, target, sparsities, is_constant)
    absent = (~there).sum(axis=(1, 2))
    if unpaired:  # a method has the seeds that it has
        present = there.any(axis=2)
        absent = present.sum(axis=1) * len(sparsities) - there.sum(axis=(1, 2))
    deciding = np.array([name in candidates or not candidates for name in methods])
    return Grid(
        (str(key[0]), str(key[1]), str(key[2])), methods, seeds, sparsities, test, val, octaves,
        is_constant, absent,
        np.bincount(m, minlength=count), np.bincount(m[failed], minlength=count),
        np.bincount(m[out], minlength=count),
        np.bincount(m[rows["unfinished"].to_numpy(bool)], minlength=count),
        np.array([int(collapsed.get(i, 0)) for i in range(count)]),
        _means(rows["at_chance"], m, target, sparsities, is_constant) >= 0.5,
        unpaired, _sample(rows, still, m, target, sparsities, is_constant),
        _span(octaves, deciding & ~is_constant),
    )  # fmt: skip


def _collapsed(rows: pd.DataFrame, m: NDArray[Any], target: Floats) -> pd.Series:
    """Count for each method the sparsities at which it collapses.

    Half of its cells or more failed there, or those that did not are at chance: their mean error is
    not below it by two standard errors.
    """
    points = [m, target]
    half = rows["failed"].groupby(points).mean() >= 0.5
    errors = rows["test_error"].groupby(points)
    chance = rows["chance"].groupby(points).first()
    lost = half | (errors.mean() + 2 * errors.sem().fillna(0) >= chance)
    return lost[lost].groupby(level=0).size()


def _octaves(
    rows: pd.DataFrame, m: NDArray[Any], target: Floats, sparsities: Floats,
    constant: NDArray[np.bool_],
) -> Floats:  # fmt: skip
    """Return the mean octaves that each method achieved at each sparsity; NaN where it has none."""
    found = _means(rows["octaves"], m, target, sparsities, constant)
    # what stands at every sparsity has no place of its own: it takes that of its opponent
    found[constant] = -np.log2(1 - sparsities)
    return found


def _sample(
    rows: pd.DataFrame, still: pd.Series, m: NDArray[Any], target: Floats, sparsities: Floats,
    constant: NDArray[np.bool_],
) -> Floats:  # fmt: skip
    """Return the mean standard error over test samples of each method at each sparsity."""
    reference = rows[still].groupby("seed")["test_error"].first()
    errors = sample_errors(rows.assign(reference_error=rows["seed"].map(reference)))
    return _means(errors, m, target, sparsities, constant)


def _means(
    values: pd.Series, m: NDArray[Any], target: Floats, sparsities: Floats,
    constant: NDArray[np.bool_],
) -> Floats:  # fmt: skip
    """Return means over seeds (methods, sparsities); a constant method has its own everywhere."""
    means = values.groupby([m, target]).mean()
    found = np.full((len(constant), len(sparsities)), np.nan)
    which, at = (means.index.get_level_values(level).to_numpy() for level in (0, 1))
    of_point, flat = means.to_numpy(float), constant[which]
    found[which[~flat], np.searchsorted(sparsities, at[~flat])] = of_point[~flat]
    found[which[flat]] = of_point[flat, None]
    return found


def _span(octaves: Floats, deciding: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the octaves that all deciding methods with every sparsity reach; else all."""
    whole = octaves[deciding & ~np.isnan(octaves).any(axis=1)]
    if not len(whole):
        return -np.inf, np.inf
    low, high = whole.min(axis=1).max(), whole.max(axis=1).min()
    return (float(low), float(high)) if low <= high else (-np.inf, np.inf)


def integration_weights(octaves: Floats, span: tuple[float, float]) -> Floats:
    """Return the weights with which values at some points give their mean height over a range.

    Values are joined by straight lines and integrated by trapezoids, so the mean is linear in them.

    Args:
        octaves: (points,), in any order; values at the same place count as their mean.
        span: The range; cut to that of the points. Where it leaves nothing, theirs is taken.

    Returns:
        (points,), with sum 1.
    """
    places, which, counts = np.unique(octaves.round(9), return_inverse=True, return_counts=True)
    low, high = max(places[0], span[0]), min(places[-1], span[1])
    if low > high:
        low, high = places[0], places[-1]
    nodes = np.unique([low, *places[(places > low) & (places < high)], high])
    heights = np.array([np.interp(nodes, places, unit) for unit in np.eye(len(places))])
    if len(nodes) == 1:
        weights = heights[:, 0]
    else:
        weights = np.trapezoid(heights, nodes, axis=1) / (nodes[-1] - nodes[0])
    found: Floats = (weights / counts)[which.ravel()]
    return found


def integrate(values: Floats, octaves: Floats, span: tuple[float, float]) -> tuple[Floats, Floats]:
    """Integrate the means over seeds at each compression, and say what each seed adds.

    Seeds are averaged at each point first, those that are there, and the means integrated: a seed
    that lacks a point (it failed there) leaves that point only.

    Args:
        values: (seeds, points); NaN is a hole. A point without any value is bridged by a straight
            line, or cuts the range.
        octaves: (points,).
        span: The range, as ``integration_weights`` takes it.

    Returns:
        Two arrays (seeds,) whose means over seeds are the integral; NaN for seeds without values.
        The first holds for each seed its influence on it, of which a bootstrap may take the spread;
        the second its own terms, whose signs a test may flip. Without holes both are the seed's own
        integral.
    """
    there = ~np.isnan(values)
    known = there.any(axis=0) & ~np.isnan(octaves)
    takes_part = there[:, known].any(axis=1)
    influence, own = np.full((2, len(values)), np.nan)
    if takes_part.any():
        weights = integration_weights(octaves[known], span)
        inside = values[np.ix_(takes_part, known)]
        means = mean_or_nan(inside, 0)
        scale = len(inside) / (~np.isnan(inside)).sum(axis=0)
        influence[takes_part] = (means + scale * np.nan_to_num(inside - means)) @ weights
        own[takes_part] = (scale * np.nan_to_num(inside)) @ weights
    return influence, own
