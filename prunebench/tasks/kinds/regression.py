"""Regression: a number for each sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PositiveFloat

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.task_kind import (
    Facts,
    KnownFacts,
    TaskKind,
    at_least_single,
    targets_of_others,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunebench.experiment.settings import Regime, Task

TABLE = MeasureTable("regression", "recommendation")


@task_kind(
    inputs=("features", "pixels", "tokens"), targets="values", error="unexplained variance",
    formula="min(1, mean((f − y)²) / Var(y)), Var over the training targets",
    unit="share of the variance", noises=("symmetric",), memorizes=False, distils=True,
)  # fmt: skip
def regression() -> type[TaskKind]:
    """A number; squared error; the share of the targets' variance that is not explained."""
    return Regression


class RegressionFacts(KnownFacts):
    """What the measures of regression stand on."""

    mean: float
    std: PositiveFloat


class Regression(TaskKind):
    """Targets float32 [N]; a network gives [B, 1] in deviations from the mean of training.

    Its answers, which are stored, are in the units of the targets.
    """

    name, measures = "regression", TABLE
    known: ClassVar[type[KnownFacts]] = RegressionFacts

    @classmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        for name, part in raw.splits().items():
            where = f"task {task.name!r}: {name}"
            if part.targets.dtype != np.float32 or part.targets.ndim != 1:
                raise PrunebenchError(
                    f"{where}: values must be float32 [N], got {part.targets.dtype} of shape"
                    f" {list(part.targets.shape)}"
                )
            unknown = np.flatnonzero(~np.isfinite(part.targets))
            if len(unknown):
                first = unknown[0]
                raise PrunebenchError(
                    f"{where}: the value of {raw.item} {first} is {part.targets[first]}, not a"
                    " number"
                )
        if np.ptp(raw.train.targets) == 0:
            raise PrunebenchError(
                f"task {task.name!r}: all training values are {raw.train.targets[0]:g}: there is"
                " nothing to learn"
            )
        return {"names": []}

    @classmethod
    def check_splits(cls, raw: Raw, splits: Mapping[str, Any], facts: Facts, task: Task) -> None:
        origin, chosen = splits["train"]
        values = origin.targets[chosen]
        if np.ptp(values) == 0:
            raise PrunebenchError(
                f"task {task.name!r}: all {len(values)} training values are {values[0]:g}: there is"
                " nothing to learn; raise train:"
            )

    @classmethod
    def learned(cls, targets: Array) -> dict[str, Any]:
        values = [float(value) for value in targets]
        # fsum: a sum that does not depend on the order in which a processor adds
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
        return {"mean": mean, "std": math.sqrt(variance)}

    @property
    def outputs(self) -> int:
        return 1

    def unfit(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> str | None:
        del targets
        if outputs.numel() == 1:
            return None
        return f"it gives {outputs.numel()} outputs, and a value is one number"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error in variances of the training targets."""
        wanted = (targets - self.facts["mean"]) / self.facts["std"]
        return (at_least_single(outputs).reshape(len(targets)) - wanted).square().mean()

    def answers(self, outputs: Tensor) -> Tensor:
        # its len() would be a number, and an exported file one of as many samples
        values = outputs.float().reshape(outputs.shape[0])
        return values * self.facts["std"] + self.facts["mean"]

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return the mean squared difference: a temperature softens nothing here (Ba 2014)."""
        del temperature
        return (student.float() - teacher.float()).square().mean()

    def noise(
        self, clean: Tensor, regime: Regime, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Give samples in a random order the target of another one, which has another value."""
        del regime
        return targets_of_others(clean, generator)

    def errors(self, found: Floats, targets: Array) -> Floats:
        wrong: Floats = ((found - targets) / self.facts["std"]) ** 2
        return wrong

    def error(self, found: Floats, targets: Array) -> float:
        mean = float(self.errors(found, targets).mean())
        return min(1.0, mean) if math.isfinite(mean) else 1.0

    def squares(self, found: Floats, targets: Array) -> Floats:
        squared: Floats = (found - targets) ** 2
        return squared

    def constant_error(self, targets: Array) -> float:
        """Return the error of always naming the mean of these targets."""
        return min(1.0, float(np.var(targets, dtype=np.float64)) / self.facts["std"] ** 2)

    def constant_spread(self, targets: Array) -> float:
        # the standard error of an explained share of variance that is none
        return self.constant_error(targets) * math.sqrt(2 / len(targets))


@TABLE.measure(
    better="lower", unit="of the target", formula="√mean((f − y)²)", source="Hyndman 2006"
)
def test_rmse(p: Predictions) -> float:
    """Root of the mean squared error on the test split, in the units of the target."""
    return float(np.sqrt(((p.outputs["test"] - p.targets["test"]) ** 2).mean()))


@TABLE.measure(better="lower", unit="of the target", formula="mean(|f − y|)", source="Hyndman 2006")
def test_mae(p: Predictions) -> float:
    """Mean absolute error on the test split, in the units of the target."""
    return float(np.abs(p.outputs["test"] - p.targets["test"]).mean())


@TABLE.measure(
    better="higher", unit="share", formula="1 − Σ(f − y)² / Σ(y − ȳ)²", source="Draper 1998"
)
def test_r2(p: Predictions) -> float | None:
    """Explained share of the variance of the test targets; below 0 it is worse than their mean."""
    targets = p.targets["test"].astype(np.float64)
    spread = float(((targets - targets.mean()) ** 2).sum())
    return 1 - float(((p.outputs["test"] - targets) ** 2).sum()) / spread if spread else None
