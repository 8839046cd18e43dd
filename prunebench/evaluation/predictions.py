"""Predictions of a cell, and the tables in which measures of them are registered. numpy alone.

A measure is one decorated function; its decorator registers it in its file's table:

    @TABLE.measure(better="lower", unit="share", formula="mean(ŷ ≠ y)", source="Vapnik 1998")
    def test_error(p: Predictions) -> float: ...

In formulas f are the logits, p = softmax(f), ŷ = argmax f, y the label; ỹ is the label trained on
and ŷ₀ what the dense baseline predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
# of a column's name -> the images and labels that it stands for
SPLITS = {
    "train": "training images, labels trained on",
    "train_clean": "training images, labels of the source",
    "val": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Outputs:
    """Logits [N, classes] of one set of images, and what follows from them."""

    logits: Floats

    @cached_property
    def predicted(self) -> Labels:
        """The most probable classes [N], the first of equal ones; -1 where a logit is NaN."""
        unknown = np.isnan(self.logits).any(1)
        return np.where(unknown, -1, self.logits.argmax(1)).astype(np.int64)

    @cached_property
    def log_probabilities(self) -> Floats:
        """Log-softmax of the logits."""
        shifted = self.logits - self.logits.max(1, keepdims=True)
        found: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return found

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the logits."""
        found: Floats = np.exp(self.log_probabilities)
        return found


@dataclass(frozen=True)
class Predictions:
    """Logits [N, classes] and labels [N] of one cell.

    ``labels["train"]`` are those trained on, ``clean`` the source's. ``baseline_test`` are the
    classes [N] that the cell's own dense baseline predicts on the test split. ``noisy_val`` [N] are
    validation labels with the regime's noise. ``val_before`` and ``val_after`` are the logits on
    validation just before weights were removed and just after. ``stopped`` are the logits by split
    of the state at which early stopping would have ended the training. The last four are None where
    there are none; without ``stopped``, that state is the last one.
    """

    logits: dict[str, Floats]
    labels: dict[str, Labels]
    clean: Labels
    baseline_test: Labels
    noisy_val: Labels | None = None
    val_before: Floats | None = None
    val_after: Floats | None = None
    stopped: dict[str, Floats] | None = None

    @cached_property
    def outputs(self) -> dict[str, Outputs]:
        """The outputs by split."""
        return {split: Outputs(logits) for split, logits in self.logits.items()}

    @cached_property
    def at_stop(self) -> Predictions:
        """The same cell where early stopping would have ended its training."""
        return self if self.stopped is None else replace(self, logits=self.stopped, stopped=None)

    def pair(self, split: str) -> tuple[Outputs, Labels]:
        """Return the outputs and labels that one of SPLITS stands for."""
        if split == "train_clean":
            return self.outputs["train"], self.clean
        return self.outputs[split], self.labels[split]


Value = Callable[[Predictions], float | None]
SplitValue = Callable[[Outputs, Labels], float]


@dataclass(frozen=True)
class Measure:
    """The meaning of a column, and how to compute it."""

    column: str
    compute: Value
    better: str  # "lower", "higher", "zero", or "" where no direction is better
    unit: str
    formula: str
    source: str
    summary: str


def _summary(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


class MeasureTable(dict[str, Measure]):
    """Measures by column. Its decorators register a function and leave it as it is."""

    def measure(
        self, *, better: str, unit: str, formula: str, source: str
    ) -> Callable[[Value], Value]:
        """Register a function of Predictions as the column of its name; None means empty."""

        def add(function: Value) -> Value:
            name = function.__name__
            self[name] = Measure(name, function, better, unit, formula, source, _summary(function))
            return function

        return add

    def per_split(
        self, *, better: str, unit: str, formula: str, source: str
    ) -> Callable[[SplitValue], SplitValue]:
        """Register a function of (outputs, labels) as a column for each of SPLITS."""

        def add(function: SplitValue) -> SplitValue:
            for split, where in SPLITS.items():
                column = f"{split}_{function.__name__}"
                summary = f"{_summary(function).rstrip('.')} ({where})."

                def compute(p: Predictions, split: str = split) -> float:
                    return function(*p.pair(split))

                self[column] = Measure(column, compute, better, unit, formula, source, summary)
            return function

        return add
