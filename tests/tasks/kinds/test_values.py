"""Regression and recommendation: errors and measures by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics

from prunebench.errors import PrunebenchError
from prunebench.evaluation.generalization import quality
from prunebench.tasks.kinds.recommendation import Recommendation, popularity
from prunebench.tasks.kinds.regression import Regression
from prunebench.tasks.predictions import Predictions
from prunebench.tasks.raw import Raw, Split
from tests.tasks.conftest import MakeTask


def test_the_error_is_the_share_of_the_variance() -> None:
    kind = Regression(Regression.learned(np.array([1.0, 3.0], np.float32)))  # mean 2, variance 1
    assert kind.facts == {"mean": 2.0, "std": 1.0}
    targets = np.array([2.0, 2.5])
    assert kind.error(np.array([2.5, 2.5]), targets) == 0.125  # (0.5² + 0) / 2
    assert kind.error(np.array([9.0, 9.0]), targets) == 1.0
    assert kind.error(np.array([np.nan, 2.0]), targets) == 1.0
    # a network's outputs are deviations from the mean
    assert kind.answers(torch.tensor([[0.5], [-1.0]])).tolist() == [2.5, 1.0]
    assert kind.loss(torch.tensor([[0.5], [-1.0]]), torch.tensor([2.5, 2.0])).item() == 0.5


def test_measures_are_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    targets = {
        split: draw.normal(3, 2, 50).astype(np.float32) for split in ("train", "val", "test")
    }
    stored = {split: values + draw.normal(0, 1, 50) for split, values in targets.items()}
    kind = Regression(Regression.learned(targets["train"]))
    clean = targets["train"].copy()
    clean[:10] += 4  # ten were trained on with another value
    found = quality(Predictions(kind, stored, targets, clean, stored["test"]))
    one = targets["test"], stored["test"]
    assert found["test_rmse"] == pytest.approx(metrics.root_mean_squared_error(*one))
    assert found["test_mae"] == pytest.approx(metrics.mean_absolute_error(*one))
    assert found["test_r2"] == pytest.approx(metrics.r2_score(*one))
    assert found["test_mse"] == pytest.approx(metrics.mean_squared_error(*one))
    variance = targets["train"].astype(float).var()
    assert found["test_error"] == pytest.approx(found["test_mse"] / variance)
    nearer = sum(
        abs(f - given) < abs(f - true)
        for f, given, true in zip(stored["train"][:10], targets["train"], clean, strict=False)
    )
    assert found["memorized"] == nearer / 10
    assert found["recovered"] == pytest.approx(1 - nearer / 10)
    assert found["test_nll"] is None
    assert found["flips"] is None
    assert found["test_ece"] is None


def test_a_rating_error_is_a_share_of_the_range(make_task: MakeTask) -> None:
    pairs = np.array([[0, 0], [1, 1], [0, 2]], np.int32)
    ratings = np.array([1, 5, 2], np.float32)
    task = make_task(kind="recommendation")
    raw = Raw(Split(pairs, ratings), facts={"users": 2, "items": 3}, item="rating")
    facts = Recommendation.check(raw, task)
    assert facts["range"] == 4
    kind = Recommendation({**facts, **Recommendation.learned(ratings)})
    assert kind.error(np.array([2.0, 5, 2]), ratings) == pytest.approx(np.sqrt(1 / 3) / 4)
    declared = {"users": 2, "items": 3, "lowest": 0.0, "highest": 10.0}
    facts = Recommendation.check(Raw(Split(pairs, ratings), facts=declared, item="rating"), task)
    assert (facts["lowest"], facts["range"]) == (0, 10)
    few = Raw(Split(pairs, ratings), facts={"users": 2, "items": 2}, item="rating")
    with pytest.raises(PrunebenchError, match="pair 2 names number 2 of 2 items"):
        Recommendation.check(few, task)
    with pytest.raises(PrunebenchError, match="does not say how many users"):
        Recommendation.check(Raw(Split(pairs, ratings)), task)


def test_popularity_by_hand() -> None:
    # ten ratings: item 2 has five, items 0 and 4 two each, item 1 one, item 3 none
    rated = np.array([2, 0, 2, 4, 2, 1, 2, 4, 0, 2])
    assert popularity(rated, 5).tolist() == pytest.approx([0.7, 0.95, 0.25, 1, 0.7])


def test_errors_of_popular_and_rare_items_by_hand() -> None:
    # item 0 has 3 of 20 training ratings, item 1 one, items 2 to 9 two each: the places of these
    # are 0.15 + 0.4, of item 0 0.075, of item 1 0.975, of item 10 1
    items = np.array([0, 0, 0, 1, *np.repeat(np.arange(2, 10), 2)])
    kind = Recommendation({"mean": 3, "std": 1, "range": 4, "users": 3, "items": 11})
    trained_on = np.stack([np.zeros_like(items), items], 1)
    asked = np.array([[1, 0], [1, 0], [2, 5], [1, 1], [2, 10]])
    context = kind.context(trained_on, asked)
    assert context["test_popularity"].tolist() == pytest.approx([0.075, 0.075, 0.55, 0.975, 1])
    ratings = np.array([3.0, 3, 3, 3, 3])
    stored = dict.fromkeys(("train", "val", "test"), np.array([4.0, 3, 5, 3, 1]))
    same = dict.fromkeys(stored, ratings)
    p = Predictions(kind, stored, same, ratings, stored["test"], context=context)
    found = quality(p)
    assert found["test_popular_error"] == pytest.approx(np.sqrt(1 / 2) / 4)
    assert found["test_middling_error"] == pytest.approx(2 / 4)
    assert found["test_rare_error"] == pytest.approx(np.sqrt(4 / 2) / 4)
    # of no such item nothing is known
    popular = Predictions(
        kind, stored, same, ratings, stored["test"], context={"test_popularity": np.zeros(5)}
    )
    assert quality(popular)["test_rare_error"] is None
    assert quality(popular)["test_popular_error"] == pytest.approx(quality(popular)["test_error"])
    without = Predictions(kind, stored, same, ratings, stored["test"])
    assert quality(without)["test_popular_error"] is None
