"""Arrange the cells of one setting in arrays, method × seed × sparsity, and average over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, suggest
from prunebench.statistics.bootstrap import Floats
from prunebench.storage.records import OK

SETTING = ["task", "regime", "model"]  # of a baseline, seeds apart


@dataclass(frozen=True)
class Grid:
    """One setting. Arrays are (methods, seeds, sparsities), in fractions; a hole is NaN.

    A method that has sparsity 0 only (the dense baseline, a control) stands at every sparsity.
    """

    setting: tuple[str, str, str]
    methods: tuple[str, ...]
    seeds: NDArray[np.int_]
    sparsities: Floats
    test: Floats
    val: Floats
    cells: NDArray[np.int_]  # rows per method
    failed: NDArray[np.int_]  # rows per method whose status is not ok

    @property
    def octaves(self) -> Floats:
        """log₂ of the nominal compression ratio 1/(1 − sparsity), shape (sparsities,)."""
        octaves: Floats = -np.log2(1 - self.sparsities)
        return octaves

    def difference(self, reference: str, values: Floats | None = None) -> Floats:
        """Return the error minus that of ``reference`` with the same seed and sparsity, in points.

        Args:
            reference: A method.
            values: (methods, seeds, sparsities), in fractions; default: the test errors.
        """
        values = self.test if values is None else values
        at = self.methods.index(reference)
        points: Floats = 100 * (values - values[at][None])
        return points

    def with_baseline(self, baseline: str) -> NDArray[np.bool_]:
        """Return whether each seed has a baseline, shape (seeds,)."""
        found: NDArray[np.bool_] = ~np.isnan(self.test[self.methods.index(baseline)]).all(axis=1)
        return found


def grids(cells: pd.DataFrame, baseline: str) -> list[Grid]:
    """Arrange counted cells in a grid for each setting.

    Args:
        cells: As ``counted`` returns them, in any order.
        baseline: Seeds without it are left out, and settings without any seed.

    Returns:
        Grids with the same methods in the same order.

    Raises:
        PrunebenchError: No seed has a finished baseline.
    """
    methods = tuple(sorted(cells["method"].unique()))
    if baseline not in methods:
        raise PrunebenchError(f"no cells of the baseline {baseline!r}{suggest(baseline, methods)}")
    pruned = cells.groupby("method")["sparsity"].max()
    constant = frozenset(pruned.index[pruned == 0])
    made = [
        _grid(tuple(map(str, key)), rows, methods, constant)
        for key, rows in cells.groupby(SETTING, sort=True)
    ]
    kept = list(_paired(made, baseline))
    if not kept:
        raise PrunebenchError(
            f"no seed has a finished baseline {baseline!r}: nothing to compare with"
        )
    return kept


def _grid(
    key: tuple[str, ...], rows: pd.DataFrame, methods: tuple[str, ...], constant: frozenset[str]
) -> Grid:
    seeds = np.unique(rows["seed"].to_numpy())
    target = rows["sparsity"].to_numpy(float).round(10)
    fixed = rows["method"].isin(constant).to_numpy()
    sparsities = np.unique(target[~fixed]) if (~fixed).any() else np.zeros(1)
    index = {name: i for i, name in enumerate(methods)}
    shape = (len(methods), len(seeds), len(sparsities))
    test, val = np.full(shape, np.nan), np.full(shape, np.nan)
    m = rows["method"].map(index).to_numpy()
    s = np.searchsorted(seeds, rows["seed"].to_numpy())
    k = np.searchsorted(sparsities, target)
    for array, column in ((test, "test_error"), (val, "val_error")):
        values = rows[column].to_numpy(float)
        array[m[~fixed], s[~fixed], k[~fixed]] = values[~fixed]
        array[m[fixed], s[fixed], :] = values[fixed, None]
    wrong = (rows["status"] != OK).to_numpy()
    count = len(methods)
    return Grid(
        (key[0], key[1], key[2]), methods, seeds, sparsities, test, val,
        np.bincount(m, minlength=count), np.bincount(m[wrong], minlength=count),
    )  # fmt: skip


def _paired(made: list[Grid], baseline: str) -> Iterator[Grid]:
    """Keep the seeds that have a baseline."""
    for grid in made:
        keep = grid.with_baseline(baseline)
        if keep.any():
            yield Grid(
                grid.setting, grid.methods, grid.seeds[keep], grid.sparsities,
                grid.test[:, keep], grid.val[:, keep], grid.cells, grid.failed,
            )  # fmt: skip


def area(values: Floats, octaves: Floats) -> Floats:
    """Integrate over the last axis by trapezoids and divide by its range.

    Args:
        values: (…, sparsities); a hole (NaN) is bridged by the points beside it.
        octaves: (sparsities,), increasing.

    Returns:
        A mean in the unit of values; a single point is its own mean, none is NaN.
    """
    there = ~np.isnan(values)
    if there.all():
        return _mean_height(values, octaves)
    flat, masks = values.reshape(-1, values.shape[-1]), there.reshape(-1, values.shape[-1])
    means = [
        _mean_height(row[mask], octaves[mask]) if mask.any() else np.nan
        for row, mask in zip(flat, masks, strict=True)
    ]
    return np.array(means, dtype=float).reshape(values.shape[:-1])


def _mean_height(values: Floats, octaves: Floats) -> Floats:
    if len(octaves) == 1:
        only: Floats = values[..., 0]
        return only
    mean: Floats = np.trapezoid(values, octaves, axis=-1) / (octaves[-1] - octaves[0])
    return mean
