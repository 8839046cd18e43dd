"""Ratings of a low-rank model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunebench.tasks.sources.low_rank_ratings import (
    NOISE,
    chosen_pairs,
    read,
    rounded_variance,
)

from ..conftest import MakeTask


def test_pairs_are_rated_once_by_users_of_very_unequal_diligence(make_task: MakeTask) -> None:
    raw = read(make_task(source="low-rank-ratings"), Path("unused"))
    pairs, stars = raw.train.inputs, raw.train.targets
    assert (pairs.dtype, stars.dtype) == (np.int32, np.float32)
    assert len(np.unique(pairs, axis=0)) == len(pairs) == 12_000
    assert set(stars.tolist()) == {1, 2, 3, 4, 5}
    assert (pairs.min(0) >= 0).all()
    assert (pairs.max(0) < [raw.facts["users"], raw.facts["items"]]).all()
    per_item = np.sort(np.bincount(pairs[:, 1], minlength=raw.facts["items"]))
    assert per_item[-30:].sum() > 0.3 * len(pairs)  # a tenth of the items


@pytest.mark.parametrize("mean", [0.2, 1.0, 2.9, 3.5, 6.0])
def test_the_variance_of_rounded_ratings_against_draws(mean: float) -> None:
    drawn = mean + np.random.default_rng(0).normal(0, NOISE, 200_000)
    stars = np.clip(np.rint(drawn), 1, 5)
    assert rounded_variance(np.array([mean]))[0] == pytest.approx(stars.var(), rel=0.02, abs=1e-3)


def test_the_noise_floor_is_below_what_popularity_says(make_task: MakeTask) -> None:
    raw = read(make_task(source="low-rank-ratings"), Path("unused"))
    _, means = chosen_pairs()
    stars = raw.train.targets
    known = np.sqrt(np.mean((np.clip(means, 1, 5) - stars) ** 2))
    assert raw.facts["best_rmse"] == pytest.approx(known, abs=0.03)
    assert raw.facts["best_rmse"] < 0.7 * stars.std()
