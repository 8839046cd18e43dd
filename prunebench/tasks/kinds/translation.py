"""Translation: a sequence for a sequence, by a network that reads both from left to right."""

from __future__ import annotations

import math

import numpy as np

from prunebench.experiment.registry import task_kind
from prunebench.tasks.kinds.language_model import LanguageModel, TokenOutputs
from prunebench.tasks.predictions import Floats
from prunebench.tasks.raw import Array
from prunebench.tasks.task_kind import TaskKind


@task_kind(
    inputs=("tokens",), targets="tokens", error="sequence error",
    formula="mean([ŷ ≠ y at some token])", unit="share of sequences", distils=True,
)  # fmt: skip
def translation() -> type[TaskKind]:
    """A sequence for a sequence; cross-entropy; the share of sequences that are not exact."""
    return Translation


class Translation(LanguageModel):
    """Inputs are ``source separator target`` without its end; targets count on the target alone.

    A sequence is exact where every token is the most probable one given the right ones before it.
    Greedy decoding gives the target in just these cases: it takes the same tokens one by one.
    """

    name = "translation"

    def errors(self, found: TokenOutputs, targets: Array) -> Floats:
        wrong = ((found.predicted != targets) & (targets > 0)).any(1)
        return np.asarray(wrong, np.float64)

    def error(self, found: TokenOutputs, targets: Array) -> float:
        return float(self.errors(found, targets).mean())

    def constant_error(self, targets: Array) -> float:
        """Return the error of always giving the commonest target sequence."""
        rows, counts = np.unique(np.asarray(targets), axis=0, return_counts=True)
        del rows
        return 1 - float(counts.max()) / len(targets)

    def constant_spread(self, targets: Array) -> float:
        constant, count = self.constant_error(targets), len(targets)
        # none right is told from a few by the rule of three
        return max(math.sqrt(constant * (1 - constant) / count), 1.5 / count)
