"""Quality from stored predictions. numpy alone, in double precision; a measure never retrains.

Each measure is one function of ``Predictions``, registered with its direction, unit and source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Predictions:
    """Logits [N, classes] and labels [N] of one cell.

    ``labels["train"]`` are those trained on, ``clean`` the source's; ``baseline_test`` are the
    classes [N] that its own dense baseline predicts on the test split.
    """

    logits: dict[str, Floats]
    labels: dict[str, Labels]
    clean: Labels
    baseline_test: Labels

    @cached_property
    def log_probabilities(self) -> dict[str, Floats]:
        """Log-softmax of the logits."""
        found = {}
        for split, logits in self.logits.items():
            shifted = logits - logits.max(1, keepdims=True)
            found[split] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return found


Value = Callable[[Predictions], float | None]


@dataclass(frozen=True)
class Measure:
    """What a column means."""

    column: str
    compute: Value
    better: str  # "lower", "higher" or "" where neither is
    unit: str
    source: str
    summary: str


MEASURES: dict[str, Measure] = {}


def measure(*, better: str, unit: str, source: str) -> Callable[[Value], Value]:
    """Make a function of Predictions the column of its name."""

    def add(function: Value) -> Value:
        summary = (function.__doc__ or "").partition("\n")[0]
        MEASURES[function.__name__] = Measure(
            function.__name__, function, better, unit, source, summary
        )
        return function

    return add


def per_split(
    *, better: str, unit: str, source: str
) -> Callable[[Callable[[Floats, Labels], float]], Callable[[Floats, Labels], float]]:
    """Make a function of (log-probabilities, labels) three columns, one for each split."""

    def add(function: Callable[[Floats, Labels], float]) -> Callable[[Floats, Labels], float]:
        summary = (function.__doc__ or "").partition("\n")[0]
        for split in SPLITS:
            column = f"{split}_{function.__name__}"

            def compute(p: Predictions, split: str = split) -> float:
                return function(p.log_probabilities[split], p.labels[split])

            MEASURES[column] = Measure(column, compute, better, unit, source, summary)
        return function

    return add


@per_split(better="lower", unit="share", source="Vapnik 1998")
def error(log_probabilities: Floats, labels: Labels) -> float:
    """Share of samples whose most probable class is not their label."""
    return float((log_probabilities.argmax(1) != labels).mean())


@per_split(better="lower", unit="nat", source="Good 1952")
def nll(log_probabilities: Floats, labels: Labels) -> float:
    """Mean negative log-likelihood of the labels."""
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


@per_split(better="lower", unit="1", source="Brier 1950")
def mse(log_probabilities: Floats, labels: Labels) -> float:
    """Mean over samples of the squared distance of the probabilities to the one-hot label."""
    distance = np.exp(log_probabilities)
    distance[np.arange(len(labels)), labels] -= 1
    return float((distance**2).sum(1).mean())


@measure(better="lower", unit="share", source="Vapnik 1998")
def generalization_gap(p: Predictions) -> float:
    """Test error minus training error, against the labels trained on."""
    test = error(p.log_probabilities["test"], p.labels["test"])
    return test - error(p.log_probabilities["train"], p.labels["train"])


@measure(better="lower", unit="share", source="Guo 2017, eq. 3")
def test_ece(p: Predictions) -> float:
    """Expected calibration error: |accuracy − confidence| over 15 bins of confidence, weighted."""
    bins = 15
    probabilities = np.exp(p.log_probabilities["test"])
    confidence, right = probabilities.max(1), probabilities.argmax(1) == p.labels["test"]
    # bins are half-open, (k/15, (k+1)/15]
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    difference = np.bincount(number, right - confidence, minlength=bins)
    return float(np.abs(difference).sum() / len(right))


@measure(better="", unit="share", source="Arpit 2017")
def memorized(p: Predictions) -> float | None:
    """Share of the mislabelled training samples whose wrong label is predicted."""
    wrong = p.labels["train"] != p.clean
    if not wrong.any():
        return None
    predicted = p.log_probabilities["train"].argmax(1)
    return float((predicted == p.labels["train"])[wrong].mean())


@measure(better="lower", unit="share", source="Hooker 2019")
def flips(p: Predictions) -> float:
    """Share of test predictions that differ from the dense baseline's."""
    return float((p.log_probabilities["test"].argmax(1) != p.baseline_test).mean())


def quality(predictions: Predictions) -> dict[str, float | None]:
    """Every measure of a cell."""
    return {column: item.compute(predictions) for column, item in MEASURES.items()}
