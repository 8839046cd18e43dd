"""Baselines, and the jobs that train, prune, probe, time and measure them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prunebench.experiment.budget import recovery_epochs
from prunebench.experiment.part_kinds import Recovery, Schedule
from prunebench.experiment.settings import Method, Model, Regime, Task, Training


@dataclass(frozen=True)
class Baseline:
    """A dense network: a task under a regime, a model, a seed."""

    task: Task
    regime: Regime
    model: Model
    seed: int
    training: Training

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Task, regime, model and seed: its folder and its seeds are derived from them."""
        return self.task.name, self.regime.name, self.model.name, self.seed

    def settings(self) -> dict[str, Any]:
        """Return everything that decides its bits, beside data, code and machine."""
        unused = set() if self.regime.augmentation else {"augmentation"}
        # a setting that came later: unset, it names no result
        later = set() if self.model.weights else {"weights"}
        return {
            "task": self.task.settings("path", *unused),
            "regime": self.regime.model_dump(exclude={"name", "training"}),
            "model": self.model.model_dump(exclude={"name", "training", *later}),
            "training": self.training.model_dump(exclude={"recovery_epochs"}),
            "key": list(self.key),
        }


@dataclass(frozen=True)
class BaselineJob:
    """Baselines of one task: one process trains them, or measures all cells on them."""

    name: str
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


@dataclass(frozen=True)
class CurveJob:
    """Curves of one method on baselines of one task: one process computes them."""

    name: str
    method: Method
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


def expected_epochs(method: Method, training: Training) -> float:
    """Return how many epochs a cell of a method trains for, about: to estimate the time left."""
    lengths = {
        "none": 0,
        "recovery": training.recovery_epochs or training.epochs,
        "training": training.epochs,
    }
    after = recovery_epochs(method, training)
    if after is None:
        after = round(method.length * lengths[method.spec(Recovery).traits.length])
    return max(float(lengths[method.spec(Schedule).traits.length] + after), 1.0)  # looking counts
