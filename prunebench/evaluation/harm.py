"""Measures of what equal error can hide: calibration, margins, flips, the worst classes."""

from __future__ import annotations

import numpy as np

from prunebench.tasks.kinds.classification import Labels
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions

TABLE = MeasureTable("classification")
BINS = 15  # of confidence


def _right(p: Predictions) -> np.ndarray:
    """Return bool [N]: whether each test sample is classified correctly."""
    return p.outputs["test"].predicted == p.targets["test"]


@TABLE.measure(
    better="lower", unit="share", formula="Σ_b n_b/N · |accuracy_b − confidence_b|, 15 bins b",
    source="Guo 2017, eq. 3",
)  # fmt: skip
def test_ece(p: Predictions) -> float:
    """Expected calibration error: |accuracy − confidence| over 15 bins of confidence, weighted."""
    confidence = p.outputs["test"].probabilities.max(1)
    # bins are half-open, (k/15, (k+1)/15]
    number = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    difference = np.bincount(number, _right(p) - confidence, minlength=BINS)
    return float(np.abs(difference).sum() / len(confidence))


@TABLE.measure(
    better="zero", unit="share", formula="mean(max_k p_k) − mean(ŷ = y)", source="Guo 2017"
)
def test_overconfidence(p: Predictions) -> float:
    """Mean confidence minus accuracy: above 0 it is too sure of itself, below 0 not enough."""
    return float(p.outputs["test"].probabilities.max(1).mean() - _right(p).mean())


@TABLE.measure(
    better="higher", unit="nat", formula="10th percentile of log p_y − max_{k≠y} log p_k",
    source="Jiang 2020",
)  # fmt: skip
def test_margin(p: Predictions) -> float:
    """Label's log-probability minus the best other's: the 10th percentile over test samples.

    Between two samples it is interpolated linearly. Jiang takes it over the training samples.
    """
    logits, labels = p.stored["test"], p.targets["test"]
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    # the log of softmax's denominator cancels out
    return float(np.quantile(logits[rows, labels] - others.max(1), 0.1))


@TABLE.measure(better="lower", unit="share", formula="mean(ŷ ≠ ŷ₀)", source="Hooker 2019")
def flips(p: Predictions) -> float:
    """Share of test predictions that differ from the dense baseline's."""
    return float((p.outputs["test"].predicted != p.baseline.predicted).mean())


@TABLE.measure(better="lower", unit="share", formula="mean(ŷ₀ = y and ŷ ≠ y)", source="Yan 2021")
def flips_to_wrong(p: Predictions) -> float:
    """Share of test samples that the dense baseline has right and this cell wrong."""
    return float(((p.baseline.predicted == p.targets["test"]) & ~_right(p)).mean())


@TABLE.measure(better="higher", unit="share", formula="mean(ŷ₀ ≠ y and ŷ = y)", source="Yan 2021")
def flips_to_right(p: Predictions) -> float:
    """Share of test samples that the dense baseline has wrong and this cell right."""
    return float(((p.baseline.predicted != p.targets["test"]) & _right(p)).mean())


@TABLE.measure(
    better="lower", unit="share", formula="mean(ŷ₀ = y and ŷ ≠ y) on validation", source="Yan 2021"
)
def val_flips_to_wrong(p: Predictions) -> float | None:
    """Share of validation samples that dense has right and this cell wrong, by noisy labels."""
    return _val_flips(p, to_right=False)


@TABLE.measure(
    better="higher", unit="share", formula="mean(ŷ₀ ≠ y and ŷ = y) on validation", source="Yan 2021"
)
def val_flips_to_right(p: Predictions) -> float | None:
    """Share of validation samples that dense has wrong and this cell right, by noisy labels."""
    return _val_flips(p, to_right=True)


def _val_flips(p: Predictions, to_right: bool) -> float | None:
    if p.baseline_val is None:
        return None
    labels = p.choice_targets
    own = p.outputs["val"].predicted == labels
    dense = p.kind.read(p.baseline_val).predicted == labels
    return float((own & ~dense if to_right else dense & ~own).mean())


def _class_errors(predicted: Labels, labels: Labels) -> Floats:
    """Return the error of every class that has test samples, in the order of the classes."""
    _, number = np.unique(labels, return_inverse=True)
    found: Floats = np.bincount(number, predicted != labels) / np.bincount(number)
    return found


@TABLE.measure(
    better="lower", unit="share", formula="max_c mean(ŷ ≠ y) where y = c", source="Sagawa 2020"
)
def worst_class_error(p: Predictions) -> float:
    """Test error of the class with the highest; classes without test samples are left out."""
    return float(_class_errors(p.outputs["test"].predicted, p.targets["test"]).max())


@TABLE.measure(
    better="lower", unit="share",
    formula="max_c (mean(ŷ ≠ y) − mean(ŷ₀ ≠ y)) where y = c", source="Hooker 2020",
)  # fmt: skip
def worst_class_change(p: Predictions) -> float:
    """Largest rise of a class's test error over the dense baseline's; below 0 where all fall."""
    labels = p.targets["test"]
    before = _class_errors(p.baseline.predicted, labels)
    return float((_class_errors(p.outputs["test"].predicted, labels) - before).max())
