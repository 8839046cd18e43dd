"""Recommendation: the rating that a user gives to an item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import PositiveFloat

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.kinds.regression import Regression, RegressionFacts
from prunebench.tasks.predictions import Floats
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.task_kind import TaskKind

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task


@task_kind(
    inputs=("pairs",), targets="values", error="rating error",
    formula="√mean((f − y)²) / (largest − smallest rating)", unit="share of the range",
    noises=("symmetric",), memorizes=False, distils=True,
)  # fmt: skip
def recommendation() -> type[TaskKind]:
    """Ratings of items by users; squared error; the root mean squared error over their range."""
    return Recommendation


class RatingFacts(RegressionFacts):
    """What the measures of recommendation stand on."""

    range: PositiveFloat


class Recommendation(Regression):
    """Targets float32 [N], ratings; a network gives [B, 1] in deviations from the mean rating."""

    name = "recommendation"
    known = RatingFacts

    @classmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        found = super().check(raw, task)
        for name in ("users", "items"):
            if not raw.facts.get(name):
                raise PrunebenchError(
                    f"task {task.name!r}: source {task.source!r} does not say how many {name} there"
                    " are"
                )
        for name, part in raw.splits().items():
            for column, what in enumerate(("users", "items")):
                outside = np.flatnonzero(part.inputs[:, column] >= raw.facts[what])
                if len(outside):
                    row = outside[0]
                    raise PrunebenchError(
                        f"task {task.name!r}: {name}: pair {row} names number"
                        f" {part.inputs[row, column]} of {raw.facts[what]} {what}"
                    )
        # of the whole source: a split may lack the extremes
        lows, highs = zip(
            *((float(s.targets.min()), float(s.targets.max())) for s in raw.splits().values()),
            strict=True,
        )
        return {**found, "lowest": min(lows), "range": max(highs) - min(lows)}

    def error(self, found: Floats, targets: Array) -> float:
        root = math.sqrt(float(self.squares(found, targets).mean())) / self.facts["range"]
        return min(1.0, root) if math.isfinite(root) else 1.0

    def constant_spread(self, targets: Array) -> float:
        return super().constant_spread(targets) / 2  # of a root

    def constant_error(self, targets: Array) -> float:
        """Return the error of always naming the mean of these ratings."""
        return min(1.0, float(np.std(targets, dtype=np.float64)) / self.facts["range"])
