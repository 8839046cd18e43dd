"""Predictions of a cell, and the tables in which measures of them are registered. numpy alone.

A measure is one decorated function; its decorator registers it in its file's table:

    @TABLE.measure(better="lower", unit="share", formula="mean(e)", source="Vapnik 1998")
    def test_error(p: Predictions) -> float: ...

In formulas e is the error of a sample, as its kind of task defines it; of classes, f are the
logits, p = softmax(f), ŷ = argmax f, y the label; ỹ is the label trained on and ŷ₀ what the dense
baseline predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Targets = NDArray[Any]
# of a column's name -> the samples and targets that it stands for
SPLITS = {
    "train": "training samples, targets trained on",
    "train_clean": "training samples, targets of the source",
    "val": "validation",
    "test": "test",
}


class MeasuredKind(Protocol):
    """What measures ask of a kind of task; ``TaskKind`` says what each returns."""

    name: ClassVar[str]

    @property
    def facts(self) -> Mapping[str, Any]: ...

    @property
    def outputs(self) -> int: ...

    def read(self, stored: Floats) -> Any: ...

    def errors(self, found: Any, targets: Targets) -> Floats: ...

    def error(self, found: Any, targets: Targets) -> float: ...

    def tested_errors(self, found: Any, targets: Targets) -> Floats | None: ...

    def nlls(self, found: Any, targets: Targets) -> Floats | None: ...

    def squares(self, found: Any, targets: Targets) -> Floats | None: ...


@dataclass(frozen=True)
class Predictions:
    """What is stored of the predictions of one cell, and the targets.

    ``stored`` are by split what the kind of task keeps, e.g. logits [N, classes].
    ``targets["train"]`` are those trained on, ``clean`` the source's. ``baseline_test`` and
    ``baseline_val`` are what is stored of the cell's own dense baseline on test and validation.
    ``noisy_val`` are validation targets with the regime's noise. ``val_before`` and ``val_after``
    are stored on validation just before weights were removed and just after. ``stopped`` is stored
    by split of the state at which early stopping would have ended the training; without it, that
    state is the last one. What has a default is None where there is none. ``context`` is what the
    kind of task says of the samples beside their targets, by name.
    """

    kind: MeasuredKind
    stored: dict[str, Floats]
    targets: dict[str, Targets]
    clean: Targets
    baseline_test: Floats
    noisy_val: Targets | None = None
    val_before: Floats | None = None
    val_after: Floats | None = None
    stopped: dict[str, Floats] | None = None
    baseline_val: Floats | None = None
    context: Mapping[str, Targets] = field(default_factory=dict)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """What the kind reads from what is stored, by split."""
        return {split: self.kind.read(stored) for split, stored in self.stored.items()}

    @cached_property
    def baseline(self) -> Any:
        """What the kind reads from the baseline's on the test split."""
        return self.kind.read(self.baseline_test)

    @cached_property
    def at_stop(self) -> Predictions:
        """The same cell where early stopping would have ended its training."""
        return self if self.stopped is None else replace(self, stored=self.stopped, stopped=None)

    @cached_property
    def memory(self) -> dict[str, Any]:
        """What measures share, by a name: none computes it again."""
        return {}

    @property
    def choice_targets(self) -> Targets:
        """Validation targets that choices are made by: with the regime's noise, if it has any."""
        return self.targets["val"] if self.noisy_val is None else self.noisy_val

    def pair(self, split: str) -> tuple[Any, Targets]:
        """Return the outputs and targets that one of SPLITS stands for."""
        if split == "train_clean":
            return self.outputs["train"], self.clean
        return self.outputs[split], self.targets[split]


Value = Callable[[Predictions], float | None]
SplitValue = Callable[[Predictions, str], float | None]


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
    kinds: tuple[str, ...] | None = None  # of tasks that have it; None: all


def _summary(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


class MeasureTable(dict[str, Measure]):
    """Measures by column. Its decorators register a function and leave it as it is."""

    def __init__(self, *kinds: str) -> None:
        """Make an empty table of measures that these kinds of tasks have; without any, all."""
        super().__init__()
        self.kinds = kinds or None

    def measure(
        self, *, better: str, unit: str, formula: str, source: str
    ) -> Callable[[Value], Value]:
        """Register a function of Predictions as the column of its name; None means empty."""

        def add(function: Value) -> Value:
            name, summary = function.__name__, _summary(function)
            self[name] = Measure(name, function, better, unit, formula, source, summary, self.kinds)
            return function

        return add

    def per_split(
        self, *, better: str, unit: str, formula: str, source: str
    ) -> Callable[[SplitValue], SplitValue]:
        """Register a function of (predictions, split) as a column for each of SPLITS."""

        def add(function: SplitValue) -> SplitValue:
            for split, where in SPLITS.items():
                column = f"{split}_{function.__name__}"
                summary = f"{_summary(function).rstrip('.')} ({where})."

                def compute(p: Predictions, split: str = split) -> float | None:
                    return function(p, split)

                self[column] = Measure(
                    column, compute, better, unit, formula, source, summary, self.kinds
                )
            return function

        return add
