"""Races: how often the best method is dropped, and replays of a table worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebench.errors import PrunebenchError
from prunebench.statistics.race import (
    FIRST_LOOK,
    RaceResult,
    Replayed,
    halve,
    losses_of,
    race,
    replay,
    replays,
    split_seeds,
)


def over(table: np.ndarray, alpha: float = 0.05) -> RaceResult:
    """A race over recorded losses (instances, methods); methods are named by their column."""
    names = [str(m) for m in range(table.shape[1])]
    return race(
        names, list(range(len(table))), lambda i, left: table[i, [int(m) for m in left]], alpha
    )


@pytest.mark.parametrize("draw", ["normal", "t", "two settings"])
def test_the_best_is_dropped_as_seldom_as_promised(draw: str) -> None:
    """Five methods alike, so that any may lead: the hardest case. One of them counts as best."""
    generator, alpha, races = np.random.default_rng(3), 0.2, 200
    lost = 0
    for _ in range(races):
        noise = generator.normal(0, 1, (16, 5))
        if draw == "t":
            noise = generator.standard_t(3, (16, 5))
        if draw == "two settings":  # methods differ from setting to setting, not on average
            noise += np.where(generator.permutation(16) < 8, 1, -1)[:, None] * [2, -2, 1, 0, 0]
        lost += "0" in over(noise + generator.normal(0, 5, (16, 1)), alpha).dropped
    assert lost <= races * alpha + 3 * math.sqrt(races * alpha * (1 - alpha))


def test_what_is_worse_is_dropped_early_and_run_no_more() -> None:
    generator = np.random.default_rng(0)
    table = generator.normal([0, 0, 10, 20], 1, (20, 4))
    found = over(table)
    assert set(found.dropped) >= {"2", "3"}
    assert max(found.dropped["2"], found.dropped["3"]) < 8
    assert found.losses["3"].notna().sum() == found.dropped["3"]
    assert found.runs == found.losses.notna().sum().sum() < table.size
    assert found.left[0] in ("0", "1")


def test_the_level_of_a_look_is_spent() -> None:
    """Two methods, by hand: p of scipy's paired t against α/2 at the first look, α/6 then."""
    generator = np.random.default_rng(5)
    for shift in np.linspace(0.5, 3, 12):
        table = generator.normal([0, shift], 1, (FIRST_LOOK + 1, 2))
        expected = None
        for used, level in ((FIRST_LOOK, 0.05 / 2), (FIRST_LOOK + 1, 0.05 / 6)):
            seen = table[:used]
            worse = int(seen.mean(0).argmax())
            p = stats.ttest_rel(seen[:, worse], seen[:, 1 - worse], alternative="greater").pvalue
            if expected is None and p <= level:
                expected = {str(worse): used}
        assert over(table).dropped == (expected or {})


def test_equal_losses_drop_nobody() -> None:
    assert over(np.zeros((10, 3))).dropped == {}


def test_halving_keeps_the_better_half() -> None:
    """Four methods, two rounds of three instances: by hand."""
    table = np.array([[0, 1, 2, 3]] * 3 + [[5, 0, 9, 9]] * 3, dtype=float)
    found = halve(list("abcd"), range(6), lambda i, left: [table[i, "abcd".index(m)] for m in left])
    assert found.dropped == {"c": 3, "d": 3, "a": 6}
    assert found.left == ["b"]
    assert found.runs == 3 * 4 + 3 * 2


def test_a_race_needs_two_methods() -> None:
    with pytest.raises(PrunebenchError, match="needs two methods"):
        over(np.zeros((5, 1)))


def test_seeds_of_the_report_are_others() -> None:
    assert split_seeds([0, 1, 2, 3, 4, 5]) == [4, 5]
    assert split_seeds([3, 9]) == [9]
    with pytest.raises(PrunebenchError, match="two or more"):
        split_seeds([0])


@pytest.fixture
def cells(table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Nine seeds, two sparsities; b loses 20 points at the higher one, a none; c is a control."""

    def curve(lost: Sequence[float]) -> dict[tuple[int, float], float]:
        return {
            (seed, level): 0.1 + 0.01 * seed + rise + 0.001 * (seed % 3)
            for seed in range(9)
            for level, rise in zip((0.5, 0.9), lost, strict=True)
        }

    found = table(
        {
            "dense": {(seed, 0.0): 0.1 + 0.01 * seed for seed in range(9)},
            "a": curve([0.0, 0.02]),
            "b": curve([0.0, 0.2]),
            "c": curve([-0.1, -0.1]),
            "half": {(seed, 0.5): 0.0 for seed in range(9)},
        }
    )
    found["val_error"] = found["test_error"] - 0.01 * (found["seed"] < 6) * (found["method"] == "a")
    return found.assign(
        control=found["method"].isin(["c", "dense"]), train_seconds=2.0, prune_seconds=1.0
    )


def test_losses_are_means_over_sparsities_against_dense(cells: pd.DataFrame) -> None:
    found = losses_of(cells)
    assert list(found.choice.columns) == ["a", "b"]
    assert found.left_out == ["half"]
    assert found.test.loc[("t", "r", "m", 1), "b"] == pytest.approx(10.1)
    assert found.choice.loc[("t", "r", "m", 1), "a"] == pytest.approx(1.1 - 1)
    assert found.seconds.loc[("t", "r", "m", 1), "b"] == 6
    at_high = losses_of(cells, sparsity=0.9)
    assert at_high.test.loc[("t", "r", "m", 0), "b"] == pytest.approx(20)
    with pytest.raises(PrunebenchError, match=r"no sparsity 0\.7; there are 0\.5, 0\.9"):
        losses_of(cells, sparsity=0.7)


def test_what_failed_errs_as_a_constant_prediction(cells: pd.DataFrame) -> None:
    lost = (cells["method"] == "b") & (cells["sparsity"] == 0.9) & (cells["seed"] == 0)
    failed = cells.assign(classes=10.0)
    failed.loc[lost, ["test_error", "val_error"]] = None
    failed.loc[lost, "status"] = "failed"
    found = losses_of(failed)
    assert found.choice.loc[("t", "r", "m", 0), "b"] == pytest.approx(100 * (0 + 0.9 - 0.1) / 2)


def test_a_replay_counts_runs_regret_and_optimism(cells: pd.DataFrame) -> None:
    losses = losses_of(cells)
    found: Replayed = replay(losses, 0.05, np.random.default_rng(0), report=[6, 7, 8])
    assert (found.winner, found.of_grid, found.regret) == ("a", "a", 0)
    assert found.result.dropped == {"b": FIRST_LOOK}
    assert (found.runs, found.runs_of_grid) == (2 * FIRST_LOOK, 12)
    assert found.seconds_share == pytest.approx(found.runs / 12)
    # validation flattered a by a point on the seeds that chose it
    assert found.reported == pytest.approx(1.1)
    assert found.optimism == pytest.approx(1, abs=0.1)
    assert found.test == pytest.approx(1.1)


def test_replays_are_the_same_each_time(cells: pd.DataFrame) -> None:
    losses = losses_of(cells)
    once, again = (replays(losses, orders=3) for _ in range(2))
    assert [each.selected for each in once] == [each.selected for each in again]
