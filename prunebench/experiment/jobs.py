"""What a grid is made of, and what one process computes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prunebench.experiment.settings import Method, Model, Regime, Task, Training


@dataclass(frozen=True)
class Baseline:
    """One dense model: a task under a regime, a network, a seed."""

    task: Task
    regime: Regime
    model: Model
    seed: int
    training: Training

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What its folder and its seeds are derived from."""
        return self.task.name, self.regime.name, self.model.name, self.seed

    def settings(self) -> dict[str, Any]:
        """What decides its bits, beside data, code and machine."""
        unused = set() if self.regime.augmentation else {"augmentation"}
        return {
            "task": self.task.model_dump(exclude={"name", "path", *unused}),
            "regime": self.regime.model_dump(exclude={"name", "training"}),
            "model": self.model.model_dump(exclude={"name", "training"}),
            "training": self.training.model_dump(exclude={"recovery_epochs"}),
            "key": list(self.key),
        }


@dataclass(frozen=True)
class BaselineJob:
    """Baselines of one task that one process trains, or all cells on which it looks at."""

    name: str
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


@dataclass(frozen=True)
class CurveJob:
    """Curves of one method, on some baselines of one task, that one process computes."""

    name: str
    method: Method
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


def expected_epochs(method: Method, training: Training) -> float:
    """How many epochs a cell of a method trains for, to tell how long a grid will take."""
    lengths_of = [method.spec(kind).trait("length", "none") for kind in ("schedule", "recovery")]
    own = method.recovery.parameters.get("epochs")
    lengths = {
        "none": 0.0,
        "recovery": own or training.recovery_epochs or training.epochs,
        "training": training.epochs,
    }
    return max(float(sum(lengths[length] for length in lengths_of)), 1.0)  # looking at it counts
