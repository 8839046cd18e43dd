"""Measures of quality against scikit-learn and naive loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from prunebench.evaluation.generalization import MEASURES, quality
from prunebench.storage.records import AT_STOP, CORRUPTIONS, QUALITY
from prunebench.tasks.kinds import classification
from prunebench.tasks.predictions import Predictions
from prunebench.tasks.task_kind import kind_of
from tests.evaluation.drawn import SPLITS, of_classes, predictions, softmax, top

OF_WEIGHTS = {
    "corrupted_error", *(f"corrupted_{kind}_error" for kind in CORRUPTIONS), "distance",
    "sharpness", "quantized_error", "test_recall_at_10", "test_ndcg_at_10",
    "test_coverage_at_10", "test_chrf", "test_bleu", "test_exact",
}  # fmt: skip


def test_columns_are_the_records() -> None:
    assert list(MEASURES) == [column for column in QUALITY if column not in OF_WEIGHTS]
    for column, item in MEASURES.items():
        assert item.column == column
        assert item.better in ("lower", "higher", "zero", "")
        assert item.unit
        assert item.source
        assert item.formula
        assert item.summary.endswith(".")
    assert len({item.summary for item in MEASURES.values()}) == len(MEASURES)


def test_where_training_would_have_been_stopped() -> None:
    p = predictions(3, 6)
    assert p.stopped is not None
    # the same cell as if the stopped state were its last
    last = quality(replace(p, stored=p.stopped, stopped=None))
    found = quality(p)
    for measure in AT_STOP:
        assert found[f"stopped_{measure}"] == last[measure]
        assert found[f"stopped_{measure}"] != found[measure]
    # without a state of its own it was stopped at its end
    found = quality(replace(p, stopped=None))
    assert all(found[f"stopped_{measure}"] == found[measure] for measure in AT_STOP)


@pytest.mark.parametrize("classes", [2, 5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_against_scikit_learn(seed: int, classes: int) -> None:
    p = predictions(seed, classes)
    found = quality(p)
    pairs = {split: (p.stored[split], p.targets[split]) for split in SPLITS}
    pairs["train_clean"] = p.stored["train"], p.clean
    for split, (logits, labels) in pairs.items():
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
    noisy = metrics.accuracy_score(p.noisy_val, p.stored["val"].argmax(1))
    assert found["noisy_val_error"] == pytest.approx(1 - noisy, abs=1e-12)


@pytest.mark.parametrize("classes", [6, 7, 20])
def test_top_5_is_scikit_learns(classes: int) -> None:
    p = predictions(1, classes)
    expected = 1 - metrics.top_k_accuracy_score(
        p.targets["test"], p.stored["test"], k=5, labels=range(classes)
    )
    assert expected > 0
    assert classification.test_top5_error(p) == pytest.approx(expected, abs=1e-12)


def test_top_5_needs_six_classes() -> None:
    assert classification.test_top5_error(predictions(classes=5)) is None


def test_of_equal_logits_the_first_counts() -> None:
    flat = dict.fromkeys(SPLITS, np.zeros((8, 8)))
    labels = dict.fromkeys(SPLITS, np.arange(8))
    found = quality(of_classes(flat, labels, labels["train"], labels["test"]))
    assert found["test_error"] == 7 / 8
    assert found["test_top5_error"] == 3 / 8


def test_memorized_and_recovered_by_loops() -> None:
    p = predictions(5)
    wrong = reproduced = recovered = 0
    for row, label, clean in zip(p.stored["train"], p.targets["train"], p.clean, strict=True):
        if label != clean:
            wrong += 1
            reproduced += top(row) == label
            recovered += top(row) == clean
    assert wrong
    assert quality(p)["memorized"] == pytest.approx(reproduced / wrong)
    assert quality(p)["recovered"] == pytest.approx(recovered / wrong)


def test_instability_by_loops() -> None:
    p = predictions(6)
    assert p.val_before is not None
    assert p.val_after is not None
    before = sum(top(r) != y for r, y in zip(p.val_before, p.targets["val"], strict=True))
    after = sum(top(r) != y for r, y in zip(p.val_after, p.targets["val"], strict=True))
    assert quality(p)["instability"] == pytest.approx((after - before) / 200)


@pytest.mark.parametrize("noisy", [True, False])
def test_changes_of_validation_samples_by_loops(noisy: bool) -> None:
    p = predictions(8) if noisy else replace(predictions(8), noisy_val=None)
    labels = p.noisy_val if noisy else p.targets["val"]
    assert labels is not None
    assert p.baseline_val is not None
    to_wrong = to_right = 0
    for row, before, label in zip(p.stored["val"], p.baseline_val, labels, strict=True):
        to_wrong += top(before) == label and top(row) != label
        to_right += top(before) != label and top(row) == label
    found = quality(p)
    assert found["val_flips_to_wrong"] == pytest.approx(to_wrong / 200)
    assert found["val_flips_to_right"] == pytest.approx(to_right / 200)
    assert found["val_rise"] == pytest.approx((to_wrong - to_right) / 200)
    assert found["val_rise_square"] == pytest.approx((to_wrong + to_right) / 200)
    assert min(to_wrong, to_right) > 0


def test_errors_without_a_bound_have_no_rise() -> None:
    """Of values the squared error in variances; a promise needs errors of at most 1."""
    kind = kind_of("regression", {"mean": 0.0, "std": 1.0})
    targets = np.array([0.0, 0.5, 1.0])
    stored = dict.fromkeys(SPLITS, np.array([0.5, 0.5, 0.5]))
    p = Predictions(kind, stored, dict.fromkeys(SPLITS, targets), targets, targets)
    found = quality(replace(p, baseline_val=targets))
    assert found["val_rise"] == pytest.approx((0.25 + 0 + 0.25) / 3)
    assert found["val_rise_square"] == pytest.approx((0.0625 + 0 + 0.0625) / 3)
    assert found["val_flips_to_wrong"] is None
    assert quality(replace(p, baseline_val=targets + 2))["val_rise"] is None


def test_a_network_that_overflows_at_pruning_is_wrong_there() -> None:
    p = predictions(7)
    nothing = np.full((200, 5), np.nan)
    right = 10.0 * np.eye(5)[p.targets["val"]]
    found = quality(replace(p, val_before=right, val_after=nothing))
    assert found["instability"] == 1


def test_what_there_is_none_of_is_empty() -> None:
    p = predictions(6, classes=7)
    kinds = {column: item.kinds or ("classification",) for column, item in MEASURES.items()}
    others = {column for column, own in kinds.items() if "classification" not in own}
    others |= {"test_auc", "test_sensitivity", "test_specificity"}  # of two classes
    bare = Predictions(p.kind, p.stored, p.targets, p.targets["train"], p.baseline_test)
    empty = {key for key, value in quality(bare).items() if value is None} - others
    of_noise = {"memorized", "recovered", "noisy_val_error"}
    of_noise |= {f"stopped_{measure}" for measure in of_noise}
    of_dense = {"val_rise", "val_rise_square", "val_flips_to_wrong", "val_flips_to_right"}
    assert empty == of_noise | of_dense | {"instability"}
    assert {key for key, value in quality(p).items() if value is None} == others
    assert quality(replace(p, val_before=None))["instability"] is None
    assert quality(replace(p, val_after=None))["instability"] is None


def test_perfect_predictions() -> None:
    labels = {s: np.arange(6) % 3 for s in SPLITS}
    logits = {s: 50.0 * np.eye(3)[labels[s]] for s in SPLITS}
    p = of_classes(logits, labels, (labels["train"] + 1) % 3, labels["test"])
    found = quality(p)
    assert found["memorized"] == 1  # it reproduces every wrong label
    assert found["train_clean_error"] == 1
    assert found["train_clean_mse"] == pytest.approx(2)
    assert found["train_clean_nll"] == found["test_margin"] == pytest.approx(50)
    other = {"memorized", "train_clean_error", "train_clean_mse", "train_clean_nll", "test_margin"}
    other |= {"stopped_memorized", "stopped_train_clean_error"}
    assert all(abs(v) < 1e-12 for k, v in found.items() if k not in other and v is not None)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=7, max_size=7), min_size=1, max_size=9
    ),
    shift=st.floats(-1e3, 1e3),
)
def test_extreme_logits_stay_finite(rows: list[list[float]], shift: float) -> None:
    logits = np.array(rows, dtype=np.float64)
    labels = np.arange(len(rows)) % 7
    same = dict.fromkeys(SPLITS, labels)
    p = of_classes(dict.fromkeys(SPLITS, logits), same, labels, labels)
    found = quality(p)
    assert all(v is None or math.isfinite(v) for v in found.values())
    for column in ("test_error", "test_top5_error", "test_ece", "worst_class_error", "flips"):
        assert 0 <= found[column] <= 1 + 1e-9
    assert found["test_top5_error"] <= found["test_error"] <= found["worst_class_error"]
    assert 0 <= found["test_mse"] <= 2 + 1e-9
    assert abs(found["test_overconfidence"]) <= found["test_ece"] + 1e-9
    moved = of_classes(dict.fromkeys(SPLITS, logits + shift), same, labels, labels)
    for column in ("test_nll", "test_margin"):
        assert quality(moved)[column] == pytest.approx(found[column], rel=1e-6, abs=1e-6)
