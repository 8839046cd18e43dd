from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from prunebench.statistics.bootstrap import (
    SEEDS,
    SEEDS_AND_TASKS,
    SettingsMean,
    deviations,
    distinct_draws,
    mean_over_settings,
    resampling_weights,
)

Values = list[np.ndarray]


def pooled(per_seed: Values, tasks: bool = False, draws: int = 2000) -> SettingsMean:
    """Settings of one task, or each of its own."""
    names = [(f"t{i}" if tasks else "t", str(i), "m") for i in range(len(per_seed))]
    moved = [
        deviations(resampling_weights("/".join(name), values.shape[1], draws), values)
        for name, values in zip(names, per_seed, strict=True)
    ]
    return mean_over_settings(names, per_seed, moved)


def noise(seeds: int, scales: list[float], grids: int = 3, between: float = 0) -> Values:
    """Values without effect, (grids, seeds) per setting: ``scales`` over seeds, then tasks."""
    generator = np.random.default_rng([seeds, len(scales), grids])
    return [
        scale * generator.standard_normal((grids, seeds))
        + between * generator.standard_normal((grids, 1))
        for scale in scales
    ]


def test_distinct_draws_are_all_draws_each_once() -> None:
    rows, which = distinct_draws("t/r/m", 3, 2000)
    # in so many ways three seeds give three: 3 times one, 2 and 1, or each once
    assert sorted(map(tuple, (3 * rows).round().astype(int))) == sorted(
        counts for counts in product(range(4), repeat=3) if sum(counts) == 3
    )
    assert (rows[which] == resampling_weights("t/r/m", 3, 2000)).all()


def test_seven_tasks_are_these_tasks_and_eight_speak_of_others() -> None:
    for count, over in ((7, SEEDS), (8, SEEDS_AND_TASKS)):
        assert pooled(noise(3, [1.0] * count), tasks=True).over == [over] * 3
        assert pooled(noise(3, [1.0] * count)).over == [SEEDS] * 3  # regimes are no tasks


def test_a_method_with_few_tasks_keeps_its_interval_over_seeds() -> None:
    per_seed = noise(3, [1.0] * 8)
    per_seed[0][1] = np.nan
    found = pooled(per_seed, tasks=True)
    assert found.over == [SEEDS_AND_TASKS, SEEDS, SEEDS_AND_TASKS]
    alone = pooled([values[1:2] for values in per_seed[1:]], tasks=False)
    width = found.ends[1, 1] - found.ends[0, 1]
    assert width == pytest.approx(alone.ends[1, 0] - alone.ends[0, 0], rel=0.1)


def test_tasks_that_differ_make_the_interval_over_tasks_wider() -> None:
    per_seed = noise(3, [0.1] * 10, between=5)
    over_tasks, over_seeds = pooled(per_seed, tasks=True), pooled(per_seed)
    assert over_tasks.point == pytest.approx(over_seeds.point)
    widths = [np.diff(found.ends, axis=0) for found in (over_tasks, over_seeds)]
    assert (widths[0] > 10 * widths[1]).all()


def test_a_single_seed_anywhere_leaves_no_interval() -> None:
    per_seed = noise(3, [1.0, 1.0])
    per_seed[1][2, 1:] = np.nan
    found = pooled(per_seed)
    assert np.isfinite(found.ends[:, :2]).all()
    assert np.isnan(found.ends[:, 2]).all()


def covered(found: SettingsMean) -> float:
    return float(((found.ends[0] <= 0) & (found.ends[1] >= 0)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("scales", [[1.0], [1.0] * 4, [0.5, 1.0, 2.0, 4.0]], ids=str)
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_over_seeds_cover_what_they_say(seeds: int, scales: list[float]) -> None:
    assert 0.93 <= covered(pooled(noise(seeds, scales, grids=2000))) <= 0.97


@pytest.mark.slow
def test_intervals_with_holes_cover_what_they_say() -> None:
    per_seed = noise(5, [0.5, 1.0, 2.0, 4.0], grids=2000)
    for values in per_seed:
        lost = np.random.default_rng(4).random(values.shape) < 0.3
        lost[:, :2] = False
        values[lost] = np.nan
    assert 0.93 <= covered(pooled(per_seed)) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(("seeds", "tasks"), [(3, 8), (5, 12)])
def test_intervals_over_tasks_cover_the_mean_of_all_tasks(
    seeds: int, tasks: int, between: float
) -> None:
    per_seed = noise(seeds, [1.0] * tasks, grids=2000, between=between)
    assert 0.93 <= covered(pooled(per_seed, tasks=True)) <= 0.97
