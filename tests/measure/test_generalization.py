"""Measures of quality against scikit-learn, torchmetrics and naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from prunebench.measure import generalization
from prunebench.measure.generalization import MEASURES, Predictions, quality
from prunebench.records import QUALITY

SPLITS = ("train", "val", "test")


def predictions(seed: int = 0, classes: int = 5, count: int = 200, scale: float = 2.0):
    draw = np.random.default_rng(seed)
    logits = {s: draw.normal(0, scale, (count, classes)) for s in SPLITS}
    labels = {s: draw.integers(0, classes, count) for s in SPLITS}
    clean = labels["train"].copy()
    flipped = draw.random(count) < 0.3
    clean[flipped] = (clean[flipped] + 1) % classes
    return Predictions(logits, labels, clean, draw.integers(0, classes, count))


def softmax(row: np.ndarray) -> list[float]:
    powers = [math.exp(value - max(row)) for value in row]
    return [power / sum(powers) for power in powers]


def test_columns_are_the_records() -> None:
    assert set(MEASURES) <= set(QUALITY)
    assert set(MEASURES) >= set(QUALITY) - {"corrupted_error"}
    for item in MEASURES.values():
        assert item.better in ("lower", "higher", "")
        assert item.unit
        assert item.source
        assert item.summary.endswith(".")


@pytest.mark.parametrize("classes", [2, 5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_against_scikit_learn(seed: int, classes: int) -> None:
    p = predictions(seed, classes)
    found = quality(p)
    for split in SPLITS:
        labels, logits = p.labels[split], p.logits[split]
        probabilities = np.array([softmax(row) for row in logits])
        every = list(range(classes))
        accuracy = metrics.accuracy_score(labels, probabilities.argmax(1))
        assert found[f"{split}_error"] == pytest.approx(1 - accuracy, abs=1e-12)
        nll = metrics.log_loss(labels, probabilities, labels=every)
        assert found[f"{split}_nll"] == pytest.approx(nll, rel=1e-9)
        brier = sum(
            metrics.brier_score_loss(labels == c, probabilities[:, c], pos_label=True)
            for c in every
        )
        assert found[f"{split}_mse"] == pytest.approx(brier, rel=1e-9)
    assert found["generalization_gap"] == found["test_error"] - found["train_error"]


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0, 30.0])
def test_calibration_is_torchmetrics(scale: float) -> None:
    p = predictions(3, 7, 500, scale)
    expected = multiclass_calibration_error(
        torch.tensor(p.log_probabilities["test"]).exp(), torch.tensor(p.labels["test"]),
        num_classes=7, n_bins=15, norm="l1",
    )  # fmt: skip
    assert generalization.test_ece(p) == pytest.approx(float(expected), abs=1e-6)


def test_calibration_by_loops() -> None:
    p = predictions(4)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(p.logits["test"], p.labels["test"], strict=True):
        probabilities = softmax(row)
        confidence = max(probabilities)
        place = next(k for k in range(15) if confidence <= (k + 1) / 15)
        bins.setdefault(place, []).append((confidence, probabilities.index(confidence) == label))
    expected = 0.0
    for inside in bins.values():
        confidence = sum(c for c, _ in inside) / len(inside)
        accuracy = sum(right for _, right in inside) / len(inside)
        expected += len(inside) / 200 * abs(confidence - accuracy)
    assert generalization.test_ece(p) == pytest.approx(expected, rel=1e-9)


def test_calibration_at_the_ends() -> None:
    """A confidence of exactly 1 is in the last bin; of nearly 0 classes, in the first."""
    sure = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    labels = {s: np.array([0, 0]) for s in SPLITS}
    p = Predictions(dict.fromkeys(SPLITS, sure), labels, labels["train"], np.array([0, 1]))
    assert generalization.test_ece(p) == 0.5
    many = np.zeros((4, 100))
    labels = {s: np.array([0, 0, 1, 1]) for s in SPLITS}
    p = Predictions(dict.fromkeys(SPLITS, many), labels, labels["train"], np.zeros(4, int))
    assert generalization.test_ece(p) == pytest.approx(0.49)


def test_memorized_and_flips_by_loops() -> None:
    p = predictions(5)
    found, wrong, reproduced, flipped = quality(p), 0, 0, 0
    for i in range(200):
        predicted = softmax(p.logits["train"][i]).index(max(softmax(p.logits["train"][i])))
        if p.labels["train"][i] != p.clean[i]:
            wrong += 1
            reproduced += predicted == p.labels["train"][i]
        row = softmax(p.logits["test"][i])
        flipped += row.index(max(row)) != p.baseline_test[i]
    assert wrong
    assert found["memorized"] == pytest.approx(reproduced / wrong)
    assert found["flips"] == pytest.approx(flipped / 200)


def test_memorized_is_empty_without_noise() -> None:
    p = predictions(6)
    clean = Predictions(p.logits, p.labels, p.labels["train"], p.baseline_test)
    assert quality(clean)["memorized"] is None
    assert all(value is not None for key, value in quality(clean).items() if key != "memorized")


def test_the_baseline_flips_nothing() -> None:
    p = predictions(7)
    own = Predictions(p.logits, p.labels, p.clean, p.logits["test"].argmax(1))
    assert quality(own)["flips"] == 0


def test_perfect_predictions() -> None:
    labels = {s: np.arange(6) % 3 for s in SPLITS}
    logits = {s: 50.0 * np.eye(3)[labels[s]] for s in SPLITS}
    p = Predictions(logits, labels, (labels["train"] + 1) % 3, labels["test"])
    found = quality(p)
    assert found["memorized"] == 1  # it reproduces every wrong label
    assert all(abs(v) < 1e-12 for k, v in found.items() if k != "memorized")


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=9
    ),
    shift=st.floats(-1e3, 1e3),
)
def test_extreme_logits_stay_finite(rows: list[list[float]], shift: float) -> None:
    logits = np.array(rows, dtype=np.float64)
    labels = np.arange(len(rows)) % 3
    given = dict.fromkeys(SPLITS, logits)
    p = Predictions(given, dict.fromkeys(SPLITS, labels), labels, labels)
    found = quality(p)
    assert all(v is None or math.isfinite(v) for v in found.values())
    assert 0 <= found["test_error"] <= 1
    assert 0 <= found["test_mse"] <= 2 + 1e-9
    assert 0 <= found["test_ece"] <= 1 + 1e-9
    moved = Predictions(dict.fromkeys(SPLITS, logits + shift), p.labels, labels, labels)
    assert quality(moved)["test_nll"] == pytest.approx(found["test_nll"], rel=1e-6, abs=1e-6)
