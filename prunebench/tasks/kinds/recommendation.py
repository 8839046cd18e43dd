"""Recommendation: the rating that a user gives to an item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import PositiveFloat

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.kinds.regression import Regression, RegressionFacts
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.task_kind import TaskKind

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

TABLE = MeasureTable("recommendation")  # beside those of regression
POPULARITY = "test_popularity"
SHARE = 0.2  # of the training ratings: what the most popular items have, and the least popular


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

    name, measures, known = "recommendation", TABLE, RatingFacts

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
        ratings = np.concatenate([part.targets for part in raw.splits().values()])
        lowest = float(raw.facts.get("lowest", ratings.min()))
        highest = float(raw.facts.get("highest", ratings.max()))
        return {**found, "lowest": lowest, "range": highest - lowest}

    def context(self, trained_on: Array, test: Array) -> dict[str, Array]:
        """Return how popular the items of the test ratings are: see ``popularity``."""
        places = popularity(trained_on[:, 1], self.facts["items"])
        return {POPULARITY: places[test[:, 1]].astype(np.float32)}

    def error(self, found: Floats, targets: Array) -> float:
        root = math.sqrt(float(self.squares(found, targets).mean())) / self.facts["range"]
        return min(1.0, root) if math.isfinite(root) else 1.0

    def constant_spread(self, targets: Array) -> float:
        return super().constant_spread(targets) / 2  # of a root

    def constant_error(self, targets: Array) -> float:
        """Return the error of always naming the mean of these ratings."""
        return min(1.0, float(np.std(targets, dtype=np.float64)) / self.facts["range"])


def popularity(rated: Array, items: int) -> Floats:
    """Return the place of every item by its ratings [items], in [0, 1]: 0 is the most popular.

    A place is the share of the ratings that more popular items have, and half the share that items
    as popular as it have, itself included: equals share a place. Items without a rating have 1.

    Args:
        rated: the item of each training rating [n].
        items: how many items there are.
    """
    counts = np.bincount(rated, minlength=items)
    sizes, which = np.unique(counts, return_inverse=True)
    together = np.bincount(which, counts, len(sizes)) / len(rated)  # of all of one size
    above = np.cumsum(together[::-1])[::-1] - together
    places: Floats = (above + together / 2)[which]
    places[counts == 0] = 1.0
    return places


def _among(p: Predictions, low: float, high: float) -> float | None:
    """Return the error on test ratings of items whose place lies in [low, high); None: none does.

    Results from before places were stored have none either.
    """
    if (places := p.context.get(POPULARITY)) is None:
        return None
    chosen = (places >= low) & (places < high)
    if not chosen.any():
        return None
    return p.kind.error(p.outputs["test"][chosen], p.targets["test"][chosen])


@TABLE.measure(
    better="lower", unit="share", source="Abdollahpouri 2021",
    formula="test_error of the most popular items, which have 20 % of the training ratings",
)  # fmt: skip
def test_popular_error(p: Predictions) -> float | None:
    """Rating error on the test ratings of popular items."""
    return _among(p, 0, SHARE)


@TABLE.measure(
    better="lower", unit="share", source="Abdollahpouri 2021",
    formula="test_error of the items between the most and the least popular",
)  # fmt: skip
def test_middling_error(p: Predictions) -> float | None:
    """Rating error on the test ratings of items that are neither popular nor rare."""
    return _among(p, SHARE, 1 - SHARE)


@TABLE.measure(
    better="lower", unit="share", source="Abdollahpouri 2021",
    formula="test_error of the least popular items, which have 20 % of the training ratings",
)  # fmt: skip
def test_rare_error(p: Predictions) -> float | None:
    """Rating error on the test ratings of rare items, those without a training rating included."""
    return _among(p, 1 - SHARE, math.inf)
