"""Measures of quality from stored predictions, in double precision, with numpy alone.

``quality`` returns every measure of predictions, those of ``harm`` included.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prunebench.evaluation import harm
from prunebench.evaluation.predictions import Labels, Measure, MeasureTable, Outputs, Predictions
from prunebench.storage.layout import STOPPED
from prunebench.storage.records import AT_STOP, QUALITY

TABLE = MeasureTable()


@TABLE.per_split(better="lower", unit="share", formula="mean(ŷ ≠ y)", source="Vapnik 1998")
def error(outputs: Outputs, labels: Labels) -> float:
    """Share of samples whose most probable class is not their label."""
    return float((outputs.predicted != labels).mean())


@TABLE.per_split(better="lower", unit="nat", formula="mean(−log p_y)", source="Good 1952")
def nll(outputs: Outputs, labels: Labels) -> float:
    """Mean negative log-likelihood of the labels."""
    return float(-outputs.log_probabilities[np.arange(len(labels)), labels].mean())


@TABLE.per_split(
    better="lower", unit="1", formula="mean(Σ_k (p_k − [y = k])²)", source="Brier 1950"
)
def mse(outputs: Outputs, labels: Labels) -> float:
    """Mean over samples of the squared distance of the probabilities to the one-hot label."""
    distance = outputs.probabilities.copy()
    distance[np.arange(len(labels)), labels] -= 1
    return float((distance**2).sum(1).mean())


@TABLE.measure(
    better="lower", unit="share", formula="mean(ŷ ≠ ỹ), both noisy alike", source="Chen 2021"
)
def noisy_val_error(p: Predictions) -> float | None:
    """Error on validation labels that carry the noise of the training labels."""
    return None if p.noisy_val is None else error(p.outputs["val"], p.noisy_val)


@TABLE.measure(
    better="lower", unit="share", formula="mean(y not among the 5 largest f)",
    source="Russakovsky 2015",
)  # fmt: skip
def test_top5_error(p: Predictions) -> float | None:
    """Share of test samples whose label is not among the five most probable of 6 or more classes.

    Of equal logits the first count as larger, as in the error.
    """
    logits, labels = p.logits["test"], p.labels["test"]
    if logits.shape[1] < 6:
        return None
    first_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    return float((first_five != labels[:, None]).all(1).mean())


@TABLE.measure(
    better="lower", unit="share", formula="test_error − train_error", source="Vapnik 1998"
)
def generalization_gap(p: Predictions) -> float:
    """Test error minus training error, against the labels trained on."""
    return error(*p.pair("test")) - error(*p.pair("train"))


@TABLE.measure(better="", unit="share", formula="mean(ŷ = ỹ) where ỹ ≠ y", source="Arpit 2017")
def memorized(p: Predictions) -> float | None:
    """Share of the mislabelled training samples whose wrong label is predicted."""
    return _share_of_mislabelled(p, p.labels["train"])


@TABLE.measure(
    better="higher", unit="share", formula="mean(ŷ = y) where ỹ ≠ y", source="Liu 2020, fig. 1"
)
def recovered(p: Predictions) -> float | None:
    """Share of the mislabelled training samples whose true label is predicted."""
    return _share_of_mislabelled(p, p.clean)


def _share_of_mislabelled(p: Predictions, wanted: Labels) -> float | None:
    wrong = p.labels["train"] != p.clean
    if not wrong.any():
        return None
    return float((p.outputs["train"].predicted == wanted)[wrong].mean())


@TABLE.measure(
    better="", unit="share", formula="val_error just after − val_error just before",
    source="Bartoldson 2020",
)  # fmt: skip
def instability(p: Predictions) -> float | None:
    """Rise of the validation error at the moment of pruning, before any recovery."""
    if p.val_before is None or p.val_after is None:
        return None
    labels = p.labels["val"]
    return error(Outputs(p.val_after), labels) - error(Outputs(p.val_before), labels)


def _at_stop(measure: Measure) -> Measure:
    """Return a measure of the state at which early stopping would have ended the training."""
    name, compute = f"{STOPPED}{measure.column}", measure.compute
    summary = f"{measure.summary.rstrip('.')}, where early stopping would have ended the training."
    return replace(measure, column=name, summary=summary, compute=lambda p: compute(p.at_stop))


_TAKEN = TABLE | harm.TABLE
_TAKEN |= {each.column: each for each in (_at_stop(_TAKEN[column]) for column in AT_STOP)}
# in the order of the record
MEASURES: dict[str, Measure] = {column: _TAKEN[column] for column in QUALITY if column in _TAKEN}


def quality(predictions: Predictions) -> dict[str, float | None]:
    """Return every measure of a cell's predictions, by column; None is empty."""
    return {column: item.compute(predictions) for column, item in MEASURES.items()}
