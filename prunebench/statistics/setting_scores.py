"""Score every method in each setting by itself, with the bootstrap over its seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING, Grid, area, grids
from prunebench.statistics.cells_table import check_cells
from prunebench.statistics.counted_cells import counted

TIE = 1e-9  # points; errors are counts over a test set, so equal ones are equal


@dataclass(frozen=True)
class SettingScores:
    """The scores in one setting; arrays (methods, seeds) in points, NaN is a hole."""

    grid: Grid
    against_baseline: Floats  # mean height of the difference over octaves
    against_reference: Floats
    chosen: Floats  # difference at the sparsity chosen on validation
    moved: Floats  # bootstrap deviations of the mean score (draws, methods)
    moved_chosen: Floats
    best: Floats  # (methods, 3): validation difference, its sparsity, test difference there
    tally: Floats  # (methods, 4): wins, ties, losses, holes


def score_settings(
    cells: pd.DataFrame, baseline: str, reference: str, draws: int
) -> list[SettingScores]:
    """Score each setting by itself.

    Args:
        cells: Cells of one source, one's own or published.
        baseline: The method that others are compared with.
        reference: Another one; it may be absent.
        draws: Of the bootstrap.

    Returns:
        The settings that have a baseline, with the same methods in the same order.

    Raises:
        PrunebenchError: ``check_cells`` refuses the table, or no setting has a finished baseline.
    """
    check_cells(cells)
    return [
        _score_setting(grid, baseline, reference, draws)
        for grid in grids(counted(cells, baseline), baseline)
    ]


def seed_scores(settings: list[SettingScores]) -> pd.DataFrame:
    """Return the score of each method and seed: SETTING, ``seed``, ``method``, ``value`` (points).

    Their mean over seeds, then settings, is the score.
    """
    tables = [
        pd.DataFrame(
            {
                **dict(zip(SETTING, each.grid.setting, strict=True)),
                "seed": seed, "method": each.grid.methods, "value": each.against_baseline[:, i],
            }
        )
        for each in settings
        for i, seed in enumerate(each.grid.seeds)
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _score_setting(grid: Grid, baseline: str, reference: str, draws: int) -> SettingScores:
    gaps = grid.difference(baseline)
    val_gaps = grid.difference(baseline, grid.val)
    areas = area(gaps, grid.octaves)
    versus = np.full(areas.shape, np.nan)
    if reference in grid.methods:
        versus = area(grid.difference(reference), grid.octaves)
    weights = bootstrap.resampling_weights("/".join(grid.setting), len(grid.seeds), draws)
    even = np.full((1, len(grid.seeds)), 1 / len(grid.seeds))
    at = _choose(even, grid.val)[0]  # (methods,)
    chosen = np.take_along_axis(gaps, at[:, None, None], axis=2)[:, :, 0]
    chosen[np.isnan(grid.val).all(axis=(1, 2))] = np.nan
    moved_chosen = _resampled_choice(weights, grid.val, gaps) - bootstrap.mean_or_nan(chosen, 1)
    return SettingScores(
        grid, areas, versus, chosen,
        bootstrap.deviations(weights, areas),
        moved_chosen * bootstrap.small_sample_factor(chosen),
        _best(grid, gaps, val_gaps),
        _tally(gaps),
    )  # fmt: skip


def _choose(weights: Floats, val: Floats) -> NDArray[np.int_]:
    """Return the index of the sparsity with the lowest mean validation error, (draws, methods).

    Ties go to the sparser.
    """
    methods, seeds, width = val.shape
    flat = val.transpose(1, 0, 2).reshape(seeds, methods * width)
    means = bootstrap.weighted_mean(weights, flat).reshape(-1, methods, width).round(9)
    means = np.where(np.isnan(means), np.inf, means)
    at: NDArray[np.int_] = width - 1 - np.argmin(means[..., ::-1], axis=-1)
    return at


def _resampled_choice(weights: Floats, val: Floats, gaps: Floats) -> Floats:
    """Return the mean difference at the sparsity chosen within each draw, (draws, methods)."""
    methods, seeds, width = gaps.shape
    flat = gaps.transpose(1, 0, 2).reshape(seeds, methods * width)
    means = bootstrap.weighted_mean(weights, flat).reshape(-1, methods, width)
    return np.take_along_axis(means, _choose(weights, val)[..., None], axis=2)[..., 0]


def _best(grid: Grid, gaps: Floats, val_gaps: Floats) -> Floats:
    """Return per method the lowest mean validation difference, its sparsity and test difference."""
    val, test = bootstrap.mean_or_nan(val_gaps, 1), bootstrap.mean_or_nan(gaps, 1)
    ranked = np.where(np.isnan(val), np.inf, val.round(9))
    at = val.shape[1] - 1 - np.argmin(ranked[:, ::-1], axis=1)
    rows = np.arange(len(at))
    return np.column_stack([val[rows, at], grid.sparsities[at], test[rows, at]])


def _tally(gaps: Floats) -> Floats:
    """Count wins, ties, losses and holes, (methods, 4)."""
    per_cell = [gaps < -TIE, np.abs(gaps) <= TIE, gaps > TIE, np.isnan(gaps)]
    return np.column_stack([which.sum(axis=(1, 2)) for which in per_cell])
