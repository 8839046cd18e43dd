"""Score every method in each setting by itself, with the bootstrap over its seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING, Grid, grids, integrate, integration_weights
from prunebench.statistics.cells_table import check_cells, flags
from prunebench.statistics.counted_cells import counted
from prunebench.storage.records import DENSE

TIE = 1e-9  # points; errors are counts over a test set, so equal ones are equal


@dataclass(frozen=True)
class Compared:
    """Methods against another one in a setting; (methods, seeds) in points, NaN is a hole."""

    influence: Floats  # what each seed adds, for the bootstrap (see ``integrate``)
    own: Floats  # the seed's own terms, for the sign-flip test


@dataclass(frozen=True)
class SettingScores:
    """The scores in one setting; arrays (methods, seeds) in points, NaN is a hole."""

    grid: Grid
    to_baseline: Compared  # mean height of the difference over octaves
    to_reference: Compared
    chosen: Floats  # difference at the sparsity chosen on validation
    moved: Floats  # bootstrap deviations of the mean score (draws, methods)
    moved_chosen: Floats
    best: Floats  # (methods, 3): validation difference, its sparsity, test difference there
    tally: Floats  # (methods, 3): wins, ties, losses
    alone: Floats | None = None  # (seeds,): the baseline's errors, in points, where it is unpaired

    @property
    def sample_errors(self) -> Floats:
        """Standard errors (methods,) of the scores over test samples, in points; NaN is unknown."""
        found = np.full(len(self.grid.methods), np.nan)
        for m, errors in enumerate(self.grid.sample):
            known = ~np.isnan(errors) & ~np.isnan(self.grid.octaves[m])
            if known.any():
                places = self.grid.octaves[m][known]
                found[m] = integration_weights(places, self.grid.span) @ errors[known]
        return found

    def against(self, method: int, other: int) -> float:
        """Return the score of a method minus that of another on the cells that both have."""
        return float(bootstrap.mean_or_nan(compare_two(self.grid, method, other)[0], 0))


def score_settings(
    cells: pd.DataFrame, baseline: str, reference: str, draws: int, published: bool = False
) -> list[SettingScores]:
    """Score each setting by itself.

    Args:
        cells: Cells of one source, one's own or published.
        baseline: The method that others are compared with.
        reference: Another one; it may be absent.
        draws: Of the bootstrap.
        published: Whether they are of others, whose baseline may have seeds of its own.

    Returns:
        The settings that have a baseline, with the same methods in the same order.

    Raises:
        PrunebenchError: ``check_cells`` refuses the table, or no setting has a finished baseline.
    """
    check_cells(cells)
    control = pd.Series(False, cells.index)
    if "control" in cells.columns:
        control = flags(cells["control"]).fillna(False).astype(bool)
    candidates = set(cells.loc[~control, "method"]) - {baseline}
    made = grids(counted(cells), baseline, candidates, published)
    return [_score_setting(grid, baseline, reference, draws) for grid in made]


def seed_scores(settings: list[SettingScores]) -> pd.DataFrame:
    """Return the score of each method and seed: SETTING, ``seed``, ``method``, ``value`` (points).

    Their mean over seeds, then settings, is the score.
    """
    tables = [
        pd.DataFrame(
            {
                **dict(zip(SETTING, each.grid.setting, strict=True)),
                "seed": seed, "method": each.grid.methods,
                "value": each.to_baseline.influence[:, i],
            }
        )
        for each in settings
        for i, seed in enumerate(each.grid.seeds)
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def run_scores(cells: pd.DataFrame, baseline: str = DENSE) -> pd.DataFrame:
    """Return ``seed_scores`` of cells, without the bootstrap, which takes no part in them."""
    return seed_scores(score_settings(cells, baseline, reference="", draws=1))


def compare_two(grid: Grid, method: int, other: int) -> tuple[Floats, Floats]:
    """Integrate the errors of two methods over the same compressions, on the cells that both have.

    Each is integrated over the compression that it achieved itself, at the same targets. What
    failed in one leaves the other too.

    Returns:
        The difference in points, as ``integrate`` returns it.
    """
    errors = [100 * grid.test[which] for which in (method, other)]
    if grid.unpaired and grid.constant[other]:
        errors[1] = np.broadcast_to(bootstrap.mean_or_nan(errors[1], 0), errors[1].shape)
    hole = np.isnan(errors[0]) | np.isnan(errors[1])
    places = [grid.octaves[which] for which in (method, other)]
    alike = np.allclose(places[0], places[1], rtol=0, atol=1e-9, equal_nan=True)
    if alike or grid.constant[[method, other]].any():
        place = places[1] if grid.constant[method] else places[0]
        return integrate(np.where(hole, np.nan, errors[0] - errors[1]), place, grid.span)
    known = ~hole.all(axis=0)
    if not known.any():
        empty = np.full(len(grid.seeds), np.nan)
        return empty, empty
    low, high = (
        max(grid.span[0], *(place[known].min() for place in places)),
        min(grid.span[1], *(place[known].max() for place in places)),
    )
    first, second = (
        integrate(np.where(hole, np.nan, error), place, (low, high))
        for error, place in zip(errors, places, strict=True)
    )
    return first[0] - second[0], first[1] - second[1]


def _compare(grid: Grid, other: str) -> Compared:
    empty = np.full((len(grid.methods), len(grid.seeds)), np.nan)
    if other not in grid.methods:
        return Compared(empty, empty)
    at = grid.methods.index(other)
    found = [compare_two(grid, method, at) for method in range(len(grid.methods))]
    influence, own = (np.stack(each) for each in zip(*found, strict=True))
    return Compared(influence, own)


def _score_setting(grid: Grid, baseline: str, reference: str, draws: int) -> SettingScores:
    gaps = grid.difference(baseline)
    val_gaps = grid.difference(baseline, grid.val)
    to_baseline = _compare(grid, baseline)
    weights, which = bootstrap.distinct_draws("/".join(grid.setting), len(grid.seeds), draws)
    even = np.full((1, len(grid.seeds)), 1 / len(grid.seeds))
    val = np.where(np.isnan(gaps), np.nan, grid.val)
    at = _choose(even, val)[0]  # (methods,)
    chosen = np.take_along_axis(gaps, at[:, None, None], axis=2)[:, :, 0]
    chosen[np.isnan(val).all(axis=(1, 2))] = np.nan
    moved = bootstrap.deviations(weights, to_baseline.influence)[which]
    moved_chosen = _resampled_choice(weights, val, gaps) - bootstrap.mean_or_nan(chosen, 1)
    moved_chosen = (moved_chosen * bootstrap.small_sample_factor(chosen))[which]
    alone = None
    if grid.unpaired:
        alone = 100 * grid.test[grid.methods.index(baseline), :, 0]
        other = bootstrap.resampling_weights(f"{baseline}/{grid.setting}", len(grid.seeds), draws)
        of_baseline = bootstrap.deviations(other, alone[None])
        moved, moved_chosen = moved - of_baseline, moved_chosen - of_baseline
    return SettingScores(
        grid, to_baseline, _compare(grid, reference), chosen, moved, moved_chosen,
        _best(grid, gaps, np.where(np.isnan(gaps), np.nan, val_gaps)), _tally(gaps), alone,
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
    """Return per method the lowest mean validation difference, its sparsity and test difference.

    A method that stands at sparsity 0 only has no best one, nor has one whose networks learned
    nothing, however low their error on a few validation samples.
    """
    val, test = bootstrap.mean_or_nan(val_gaps, 1), bootstrap.mean_or_nan(gaps, 1)
    val = np.where(grid.dead, np.nan, val)
    ranked = np.where(np.isnan(val), np.inf, val.round(9))
    at = val.shape[1] - 1 - np.argmin(ranked[:, ::-1], axis=1)
    rows = np.arange(len(at))
    sparsity = np.where(grid.constant, 0.0, grid.sparsities[at])
    return np.column_stack([val[rows, at], sparsity, test[rows, at]])


def _tally(gaps: Floats) -> Floats:
    """Count wins, ties and losses, (methods, 3)."""
    per_cell = [gaps < -TIE, np.abs(gaps) <= TIE, gaps > TIE]
    return np.column_stack([which.sum(axis=(1, 2)) for which in per_cell])
