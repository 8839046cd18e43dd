"""Classification: one of K classes for each sample, of images, rows of a table or tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.stratified import Integers
from prunebench.tasks.task_kind import Facts, TaskKind, scale_of
from prunebench.text.numbers import first_few, listed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunebench.experiment.settings import Regime, Task

Labels = NDArray[np.int64]
# labels [n], classes, regime, generator -> positions in the order in which they are mislabelled
# [m <= n], and the wrong label of each [m]
Noise = Callable[["Tensor", int, "Regime", "torch.Generator"], "tuple[Tensor, Tensor]"]
NOISES: dict[str, Noise] = {}
TITLES = {"train": "training", "val": "validation", "test": "test"}
TABLE = MeasureTable("classification")


def _noise(function: Noise) -> Noise:
    """Register a kind of label noise under its function's name: ``_pair_flip`` is pair-flip."""
    NOISES[function.__name__.strip("_").replace("_", "-")] = function
    return function


@task_kind(
    inputs=("pixels", "features", "tokens"), targets="classes", error="classification error",
    formula="mean(ŷ ≠ y)", unit="share of samples", noises=("symmetric", "asymmetric", "pair-flip"),
    distils=True,
)  # fmt: skip
def classification() -> type[TaskKind]:
    """One of K classes; cross-entropy; the share of samples whose class is wrong."""
    return Classification


@dataclass(frozen=True)
class Outputs:
    """Logits [N, classes] of one set of samples, and what follows from them."""

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


class Classification(TaskKind):
    """Targets int64 [N], from 0; a network gives logits [B, classes], which are stored."""

    name, measures = "classification", TABLE

    @classmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        """Return the names of the classes.

        Labels must be 0..K-1, with K the number of names, or without names one more than the
        largest training label. Training must show every class.
        """
        for name, part in raw.splits().items():
            if part.targets.ndim != 1 or part.targets.dtype.kind not in "iu":
                raise PrunebenchError(
                    f"task {task.name!r}: {name}: classes must be whole numbers [N], got"
                    f" {part.targets.dtype} of shape {list(part.targets.shape)}"
                )
        classes = len(raw.names) if raw.names else int(raw.train.targets.max()) + 1
        for name, part in raw.splits().items():
            outside = np.flatnonzero((part.targets < 0) | (part.targets >= classes))
            if len(outside):
                first = outside[0]
                raise PrunebenchError(
                    f"task {task.name!r}: {name} label {part.targets[first]} of {raw.item} {first}"
                    f" is out of range: {classes} classes are labelled 0 to {classes - 1}"
                )
        present = np.unique(raw.train.targets)
        if len(present) < classes:
            absent = next(label for label in range(classes) if label not in present)
            raise PrunebenchError(
                f"task {task.name!r}: no training {raw.item} of class {absent}, "
                f"though labels go from 0 to {classes - 1}"
            )
        if classes < 2:
            raise PrunebenchError(f"task {task.name!r}: one class only; classifying needs two")
        return {"names": list(raw.names or (str(label) for label in range(classes)))}

    @classmethod
    def strata(cls, targets: Array) -> Integers:
        return targets

    @classmethod
    def check_splits(cls, raw: Raw, splits: Mapping[str, Any], facts: Facts, task: Task) -> None:
        """Refuse a split that lacks a class: what is chosen or tested there means nothing."""
        names = facts["names"]
        for split, (origin, chosen) in splits.items():
            absent = absent_classes(origin.targets[chosen], len(names))
            if len(absent):
                verb = "leave" if split == "train" else "show"
                raise PrunebenchError(
                    f"task {task.name!r}: {len(chosen)} {TITLES[split]} {raw.item}s {verb} none of"
                    f" class {first_few([repr(names[label]) for label in absent], 1)};"
                    f" {_remedy(split, splits, int(absent[0]), names, raw.item)}"
                )

    def fault(self, targets: Array) -> str | None:
        classes = self.outputs
        absent = len(absent_classes(targets, classes))
        return f"show {classes - absent} of {classes} classes" if absent else None

    @property
    def outputs(self) -> int:
        return len(self.facts["names"])

    def unfit(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> str | None:
        del targets
        if outputs.shape[1:] == (self.outputs,):
            return None
        shape = "×".join(map(str, outputs.shape[1:])) or "no"
        return f"it gives {shape} outputs for an input, and there are {self.outputs} classes"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets)

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return T² · KL(teacher ‖ student), mean of the batch (Hinton 2015, section 2.1)."""
        from torch.nn import functional

        return temperature**2 * functional.kl_div(
            functional.log_softmax(student.float() / temperature, 1),
            functional.log_softmax(teacher.float() / temperature, 1),
            reduction="batchmean",
            log_target=True,
        )

    def noise(
        self, clean: Tensor, regime: Regime, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        return NOISES[regime.noise](clean, self.outputs, regime, generator)

    def check_subset(self, targets: Tensor, regime: Regime) -> str | None:
        classes = self.outputs
        absent = absent_classes(targets.numpy(), classes)
        if len(absent):
            asked = f"train_fraction {regime.train_fraction}"
            if regime.train_samples is not None:
                asked = f"train_samples {regime.train_samples}"
            return f"{asked} keeps {len(targets)} samples and none of class {absent[0]}"
        named = {c for pair in regime.class_map.items() for c in pair if c >= classes}
        if named:
            return f"class_map names class {min(named)}: the task's are 0 to {classes - 1}"
        return None

    def read(self, stored: Floats) -> Outputs:
        return Outputs(stored)

    def errors(self, found: Outputs, targets: Array) -> Floats:
        return (found.predicted != targets).astype(np.float64)

    def agrees(self, stored: Floats, found: Floats, tolerance: float) -> Array:
        """Return where the class found is the stored one's, or tied with it: rounding decides."""
        chosen = np.take_along_axis(stored, found.argmax(1)[:, None], 1)[:, 0]
        return stored.max(1) - chosen <= tolerance * scale_of(stored)

    def nlls(self, found: Outputs, targets: Array) -> Floats:
        losses: Floats = -found.log_probabilities[np.arange(len(targets)), targets]
        return losses

    def squares(self, found: Outputs, targets: Array) -> Floats:
        """Return the squared distance of the probabilities to the one-hot label (Brier 1950)."""
        distance = found.probabilities.copy()
        distance[np.arange(len(targets)), targets] -= 1
        squared: Floats = (distance**2).sum(1)
        return squared

    def constant_error(self, targets: Array) -> float:
        return 1 - float(np.bincount(targets).max()) / len(targets)


def absent_classes(labels: Integers, classes: int) -> Integers:
    """Return which of ``classes`` classes none of the labels [N] has."""
    return np.setdiff1d(np.arange(classes), labels)


def _remedy(split: str, parts: Mapping[str, Any], label: int, names: list[str], item: str) -> str:
    """Return what to do about a split without the class ``label``."""
    origin, train = parts[split][0], parts["train"][0]
    if origin is not train and label not in origin.targets:
        return (
            f"the source's own {TITLES[split]} {item}s must show every class that training shows:"
            " add some, or leave the class out of training"
        )
    cut = [TITLES[name] for name, (other, _) in parts.items() if other is train]
    has = int((train.targets == label).sum())
    if origin is train and has < len(cut):
        return (
            f"the source has {has} of class {names[label]!r}, and {listed(cut)} need one each: add"
            " some, or leave the class out"
        )
    return "raise train: or lower val: and test:" if split == "train" else f"raise {split}:"


@_noise
def _symmetric(
    clean: Tensor, classes: int, regime: Regime, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Any sample, to any other class: both uniform (Zhang 2017, without their right labels)."""
    import torch

    del regime
    order = torch.randperm(len(clean), generator=generator)
    shifts = torch.randint(1, classes, (len(clean),), generator=generator)
    return order, (clean[order] + shifts) % classes


@_noise
def _pair_flip(
    clean: Tensor, classes: int, regime: Regime, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Any sample, uniform, to the next class: c to (c + 1) mod K (Han 2018, Co-teaching)."""
    import torch

    del regime
    order = torch.randperm(len(clean), generator=generator)
    return order, (clean[order] + 1) % classes


@_noise
def _asymmetric(
    clean: Tensor, classes: int, regime: Regime, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Samples of the classes in ``class_map`` only, uniform, each to its partner (Patrini 2017)."""
    import torch

    partner = torch.arange(classes)
    partner[list(regime.class_map)] = torch.tensor(list(regime.class_map.values()))
    order = torch.randperm(len(clean), generator=generator)
    wrong = partner[clean[order]]
    changed = wrong != clean[order]
    return order[changed], wrong[changed]


@TABLE.measure(
    better="lower", unit="share", formula="mean(y not among the 5 largest f)",
    source="Russakovsky 2015",
)  # fmt: skip
def test_top5_error(p: Predictions) -> float | None:
    """Share of test samples whose label is not among the five most probable of 6 or more classes.

    Of equal logits the first count as larger, as in the error.
    """
    logits, labels = p.stored["test"], p.targets["test"]
    if logits.shape[1] < 6:
        return None
    first_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    return float((first_five != labels[:, None]).all(1).mean())


@TABLE.measure(
    better="lower", unit="share", formula="mean over c of mean(ŷ ≠ y) where y = c",
    source="Brodersen 2010",
)  # fmt: skip
def test_balanced_error(p: Predictions) -> float:
    """Mean over the classes of their test errors: every class counts alike, however rare."""
    labels = p.targets["test"]
    _, number = np.unique(labels, return_inverse=True)
    wrong = p.outputs["test"].predicted != labels
    return float((np.bincount(number, wrong) / np.bincount(number)).mean())


def _of_two(p: Predictions) -> tuple[Floats, Labels] | None:
    """Return the scores of class 1 against 0 on the test split, and labels; None: more classes."""
    logits, labels = p.stored["test"], p.targets["test"]
    if logits.shape[1] != 2 or len(np.unique(labels)) < 2 or not np.isfinite(logits).all():
        return None
    return logits[:, 1] - logits[:, 0], labels


@TABLE.measure(
    better="higher", unit="share", formula="P(score of a positive > of a negative), ties half",
    source="Hanley 1982",
)  # fmt: skip
def test_auc(p: Predictions) -> float | None:
    """Area under the ROC curve on the test split, of two classes; class 1 is positive."""
    from scipy.stats import rankdata

    if (found := _of_two(p)) is None:
        return None
    scores, labels = found
    positive = int(labels.sum())
    ranks = float(rankdata(scores)[labels == 1].sum())
    least = positive * (positive + 1) / 2
    return (ranks - least) / (positive * (len(labels) - positive))


@TABLE.measure(
    better="higher", unit="share", formula="mean(ŷ = 1) where y = 1", source="Yerushalmy 1947"
)
def test_sensitivity(p: Predictions) -> float | None:
    """Share of the positive test samples (class 1 of two) that are found."""
    return None if _of_two(p) is None else _share_right(p, 1)


@TABLE.measure(
    better="higher", unit="share", formula="mean(ŷ = 0) where y = 0", source="Yerushalmy 1947"
)
def test_specificity(p: Predictions) -> float | None:
    """Share of the negative test samples (class 0 of two) that are left alone."""
    return None if _of_two(p) is None else _share_right(p, 0)


def _share_right(p: Predictions, label: int) -> float:
    of_class = p.targets["test"] == label
    return float((p.outputs["test"].predicted == label)[of_class].mean())
