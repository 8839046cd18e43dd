"""Calibration against torchmetrics; margins, flips and worst classes against naive loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from prunebench.evaluation import harm
from prunebench.evaluation.generalization import quality
from tests.evaluation.drawn import SPLITS, of_classes, predictions, softmax, top


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0, 30.0])
def test_calibration_is_torchmetrics(scale: float) -> None:
    p = predictions(3, 7, 500, scale)
    expected = multiclass_calibration_error(
        torch.tensor(p.stored["test"]).softmax(1), torch.tensor(p.targets["test"]),
        num_classes=7, n_bins=15, norm="l1",
    )  # fmt: skip
    assert harm.test_ece(p) == pytest.approx(float(expected), abs=1e-6)


def test_calibration_by_loops() -> None:
    p = predictions(4)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(p.stored["test"], p.targets["test"], strict=True):
        probabilities = softmax(row)
        confidence = max(probabilities)
        place = next(k for k in range(15) if confidence <= (k + 1) / 15)
        bins.setdefault(place, []).append((confidence, probabilities.index(confidence) == label))
    expected = signed = 0.0
    for inside in bins.values():
        confidence = sum(c for c, _ in inside) / len(inside)
        accuracy = sum(right for _, right in inside) / len(inside)
        expected += len(inside) / 200 * abs(confidence - accuracy)
        signed += len(inside) / 200 * (confidence - accuracy)
    assert harm.test_ece(p) == pytest.approx(expected, rel=1e-9)
    assert harm.test_overconfidence(p) == pytest.approx(signed, rel=1e-9)


def test_calibration_at_the_ends() -> None:
    """A confidence of exactly 1 is in the last bin; of nearly 0 classes, in the first."""
    sure = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    labels = {s: np.array([0, 0]) for s in SPLITS}
    p = of_classes(dict.fromkeys(SPLITS, sure), labels, labels["train"], np.array([0, 1]))
    assert harm.test_ece(p) == harm.test_overconfidence(p) == 0.5
    many = np.zeros((4, 100))
    labels = {s: np.array([0, 0, 1, 1]) for s in SPLITS}
    p = of_classes(dict.fromkeys(SPLITS, many), labels, labels["train"], np.zeros(4, int))
    assert harm.test_ece(p) == pytest.approx(0.49)
    assert harm.test_overconfidence(p) == pytest.approx(-0.49)


def test_margin_by_loops() -> None:
    p = predictions(8, count=101)
    margins = []
    for row, label in zip(p.stored["test"], p.targets["test"], strict=True):
        logs = [float(np.log(value)) for value in softmax(row)]
        margins.append(logs[label] - max(v for k, v in enumerate(logs) if k != label))
    # of 101 sorted values the tenth percentile is the eleventh
    assert harm.test_margin(p) == pytest.approx(sorted(margins)[10], rel=1e-9)
    assert sorted(margins)[10] < 0 < max(margins)


def test_margin_is_interpolated() -> None:
    logits = dict.fromkeys(SPLITS, np.array([[4.0, 0.0, 1.0], [0.0, 5.0, 9.0]]))
    labels = dict.fromkeys(SPLITS, np.array([0, 1]))
    p = of_classes(logits, labels, labels["train"], labels["test"])
    assert harm.test_margin(p) == pytest.approx(-4 + 0.1 * 7)


def test_flips_by_loops() -> None:
    p = predictions(5)
    flipped = to_wrong = to_right = 0
    for row, label, before in zip(
        p.stored["test"], p.targets["test"], p.baseline.predicted, strict=True
    ):
        flipped += top(row) != before
        to_wrong += before == label and top(row) != label
        to_right += before != label and top(row) == label
    found = quality(p)
    assert found["flips"] == pytest.approx(flipped / 200)
    assert found["flips_to_wrong"] == pytest.approx(to_wrong / 200)
    assert found["flips_to_right"] == pytest.approx(to_right / 200)
    assert min(to_wrong, to_right) > 0


def test_worst_class_by_loops() -> None:
    p = predictions(9)
    after: dict[int, list[bool]] = {}
    before: dict[int, list[bool]] = {}
    for row, label, old in zip(
        p.stored["test"], p.targets["test"], p.baseline.predicted, strict=True
    ):
        after.setdefault(int(label), []).append(top(row) != label)
        before.setdefault(int(label), []).append(old != label)
    errors = {c: sum(found) / len(found) for c, found in after.items()}
    changes = [errors[c] - sum(found) / len(found) for c, found in before.items()]
    assert harm.worst_class_error(p) == pytest.approx(max(errors.values()))
    assert harm.worst_class_change(p) == pytest.approx(max(changes))


def test_classes_without_test_samples_are_left_out() -> None:
    """Of four classes two are in the test split: the error of one rises, the other's falls."""
    logits = dict.fromkeys(SPLITS, np.eye(4)[[1, 1, 0, 3, 3]])
    labels = {"train": np.zeros(5, int), "val": np.zeros(5, int), "test": np.array([1, 1, 1, 3, 3])}
    p = of_classes(logits, labels, labels["train"], np.array([1, 1, 1, 0, 2]))
    assert harm.worst_class_error(p) == pytest.approx(1 / 3)
    assert harm.worst_class_change(p) == pytest.approx(1 / 3)  # the other class fell by 1
    better = replace(p, baseline_test=np.eye(4)[[1, 0, 0, 0, 2]])
    assert harm.worst_class_change(better) == pytest.approx(-1 / 3)


def test_the_baseline_harms_nothing() -> None:
    p = predictions(7)
    found = quality(replace(p, baseline_test=p.stored["test"]))
    columns = ("flips", "flips_to_wrong", "flips_to_right", "worst_class_change")
    assert [found[column] for column in columns] == [0, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 8), count=st.integers(1, 60))
def test_flips_account_for_the_change_of_error(seed: int, classes: int, count: int) -> None:
    p = predictions(seed, classes, count)
    found = quality(p)
    before = (p.baseline.predicted != p.targets["test"]).mean()
    change = found["flips_to_wrong"] - found["flips_to_right"]
    assert found["test_error"] - before == pytest.approx(change, abs=1e-12)
    assert found["flips_to_wrong"] + found["flips_to_right"] <= found["flips"] + 1e-12
    assert found["worst_class_error"] >= found["test_error"] - 1e-12
    assert found["worst_class_change"] >= change - 1e-12
