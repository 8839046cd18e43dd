"""What a kind of task must say: targets, loss, what is stored of predictions, error, noise.

A kind is one file in ``tasks/kinds``: a class here, and a function marked ``@task_kind`` that makes
it from the facts of a task. Preparing and measuring need no torch, so that kinds import it only
where they compute with it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from prunebench.errors import Damaged, PrunebenchError
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.validation import validated
from prunebench.storage.sealed_content import read_facts
from prunebench.tasks.predictions import Floats, MeasureTable
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.stratified import Integers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunebench.experiment.settings import Regime, Task

Facts = Mapping[str, Any]  # of a task: what JSON can say
Parts = Mapping[str, Array]  # targets by split: train, val, test


class KnownFacts(BaseModel):
    """What every kind knows of a task; a kind that measures by more declares it.

    Facts are read from files, which others may have written: ``kind_of`` checks them.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, strict=True)

    names: list[str] | tuple[str, ...] = ()
    shape: list[int] | tuple[int, ...] = ()


class TaskKind(ABC):
    """A kind of task, with the facts of one task.

    Outputs are what a network returns of a batch, ``stored`` what is kept of them, and what
    ``read`` makes of that (``found`` below) is what measures are taken of.
    """

    name: ClassVar[str]  # as the configuration writes it
    measures: ClassVar[MeasureTable] = MeasureTable()  # its own, beside those of all kinds
    known: ClassVar[type[KnownFacts]] = KnownFacts  # what its facts must be

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    # ------------------------------------------------------- preparing, without torch

    @classmethod
    @abstractmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        """Return what is known of the task before it is split; ``names`` at least.

        Raises:
            PrunebenchError: targets are of another type or shape, missing or out of range.
        """

    @classmethod
    def strata(cls, targets: Array) -> Integers:
        """Return the group [N] of each sample, of which every split gets its share; by default one.

        Args:
            targets: [N, ...].
        """
        return np.zeros(len(targets), np.int64)

    @classmethod
    def check_splits(cls, raw: Raw, splits: Mapping[str, Any], facts: Facts, task: Task) -> None:
        """Raise PrunebenchError where a split cannot serve its purpose, e.g. lacks a class."""
        return None

    @classmethod
    def learned(cls, targets: Array) -> dict[str, Any]:
        """Return facts that are taken from the training targets, e.g. their variance."""
        del targets
        return {}

    def fault(self, targets: Array) -> str | None:
        """Return what is wrong with the prepared targets of a split; None: nothing."""
        return None

    # --------------------------------------------------------------------- training

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many outputs a network has for each sample, or position: ``num_classes``."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar.

        Args:
            outputs: of the network, [B, ...].
            targets: [B, ...].
        """

    def answers(self, outputs: Tensor) -> Tensor:
        """Return what a network in use gives, float32 [B, ...]; by default the outputs."""
        return outputs.float()

    def keep(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Return what is stored of the answers to a batch, float32 [B, ...]; by default all."""
        del targets
        return answers

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return how far outputs are from a teacher's, softened by a temperature; a scalar.

        A kind that has such a measure declares ``distils=True``; others need none.
        """
        raise NotImplementedError

    def unfit(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> str | None:
        """Return why such outputs [1, ...] can never be these targets, by split; None: they can."""
        del outputs, targets
        return None

    @abstractmethod
    def noise(
        self, clean: Tensor, regime: Regime, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return positions in the order in which they get a wrong target, and these targets.

        What is drawn depends on ``clean`` alone, never on how many are asked for, so that less
        noise is a part of more.

        Args:
            clean: targets [N, ...], or all the elements that count for themselves.
            regime: its ``noise`` and ``class_map``.
            generator: a CPU generator.
        """

    def places(self, targets: Tensor) -> Any:
        """Return the index of what counts for itself in targets [N, ...]; by default the samples.

        Noise is a share of these.
        """
        return slice(None)

    def check_subset(self, targets: Tensor, regime: Regime) -> str | None:
        """Return what is wrong with a regime's training targets [n, ...]; None: nothing."""
        return None

    def context(self, trained_on: Array, test: Array) -> dict[str, Array]:
        """Return what measures ask about samples beside their targets, by name; by default nothing.

        Stored beside the targets, under these names.

        Args:
            trained_on: the training inputs that the regime leaves [n, ...], as they are stored.
            test: the test inputs [N, ...].
        """
        del trained_on, test
        return {}

    # ------------------------------------------------------- measuring, without torch

    def read(self, stored: Floats) -> Any:
        """Return what measures are taken of; by default what is stored."""
        return stored

    @abstractmethod
    def errors(self, found: Any, targets: Array) -> Floats:
        """Return the error of each sample [N], by which cells are ranked once it is averaged."""

    def error(self, found: Any, targets: Array) -> float:
        """Return the error of a set of samples, in [0, 1]."""
        return float(self.errors(found, targets).mean())

    def tested_errors(self, found: Any, targets: Array) -> Floats | None:
        """Return the error of each sample [N], where tests of these are tests of ``error``.

        None elsewhere: where some are not in [0, 1], or ``error`` is not their mean, such as an
        average precision.
        """
        each = self.errors(found, targets)
        inside = bool(((each >= 0) & (each <= 1)).all())
        mean = inside and math.isclose(each.mean(), self.error(found, targets), abs_tol=1e-9)
        return each if mean else None

    def agrees(self, stored: Floats, found: Floats, tolerance: float) -> Array:
        """Return whether predictions are the same but for rounding, bool [N]: by default all of it.

        Args:
            stored: [N, ...], finite.
            found: [N, ...], finite.
            tolerance: the largest difference, relative to the largest magnitude of ``stored``.
        """
        return near(stored, found, tolerance)

    def nlls(self, found: Any, targets: Array) -> Floats | None:
        """Return the negative log-likelihood of each sample in nat [N]; None: not defined."""
        return None

    def squares(self, found: Any, targets: Array) -> Floats | None:
        """Return the squared error of each sample [N]; None: not defined."""
        return None

    @abstractmethod
    def constant_error(self, targets: Array) -> float:
        """Return the error of the best prediction that is the same for every sample, in [0, 1]."""

    def chance(self, targets: Array) -> float:
        """Return the error below which a network has learned something.

        That is two standard errors below a constant prediction's, or half of it in tiny sets.
        """
        constant = self.constant_error(targets)
        spread = self.constant_spread(targets)
        return max(constant - 2 * spread, constant / 2)

    def constant_spread(self, targets: Array) -> float:
        """Return the standard error of a constant prediction's error; by default of a share."""
        constant = self.constant_error(targets)
        return float(np.sqrt(constant * (1 - constant) / len(targets)))


def scale_of(stored: Floats) -> float:
    """Return the largest magnitude of stored predictions; 1 where all are 0."""
    return float(np.abs(stored).max()) or 1.0


def near(stored: Floats, found: Floats, tolerance: float) -> Array:
    """Return whether samples [N, ...] are within ``tolerance`` times the largest magnitude."""
    apart = np.abs(stored - found).reshape(len(stored), -1)
    return np.asarray(apart.max(1) <= tolerance * scale_of(stored))


def targets_of_others(clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a random order of the samples, and for each the target of another that differs.

    Args:
        clean: targets [N, ...].
        generator: a CPU generator.

    Raises:
        PrunebenchError: all targets are the same.
    """
    import torch

    if not (clean != clean[:1]).any():
        raise PrunebenchError("all targets are the same: there is no wrong one to give a sample")
    order = torch.randperm(len(clean), generator=generator)
    wrong = clean[order].clone()
    same = torch.ones(len(clean), dtype=torch.bool)
    while same.any():
        # drawn for all each time: what is drawn does not depend on how many are still the same
        donors = torch.randint(len(clean), (len(clean),), generator=generator)
        wrong[same] = clean[donors[same]]
        same = (wrong == clean[order]).reshape(len(clean), -1).all(1)
    return order, wrong


def at_least_single(outputs: Tensor) -> Tensor:
    """Return outputs in single precision where a network gives less, for losses that need it.

    Doubles stay: by them a smaller network is shown to train as the masked one does.
    """
    import torch

    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def kind_class(name: str) -> type[TaskKind]:
    """Return the class of a kind of task, by its name in the configuration.

    Raises:
        PrunebenchError: there is no such kind.
    """
    made: type[TaskKind] = registry.load(registry.find(TaskKindTraits, name))()
    return made


def kind_of(name: str, facts: Facts) -> TaskKind:
    """Return a kind of task with the facts of one task.

    Raises:
        PrunebenchError: there is no such kind, or these are no facts of it.
    """
    found = kind_class(name)
    validated(found.known, facts, f"facts of a task of kind {name}")
    return found(facts)


def stored_kind(path: Path) -> TaskKind:
    """Return the kind of task that a baseline's ``facts.json`` tells, with its facts.

    Raises:
        PrunebenchError: the file is missing, damaged, or holds something else.
    """
    name, facts = read_facts(path)
    try:
        return kind_of(name, facts)
    except PrunebenchError as error:
        raise Damaged(f"{path} is damaged: {error}") from error
