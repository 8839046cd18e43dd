"""Gate of the protocol: whether a training came to its end, did not finish, or failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any

from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.storage.records import FAILED_TO_TRAIN, STOPPED, TRAINED_OUT, UNDER_TRAINED

MEMORIZED_AT = 0.01  # the largest training error, a fraction, of a network that knows its labels
PLATEAU = 0.05  # the largest relative fall of the loss that counts as none
VANISHED = 0.05  # a learning rate below this share of its largest moves nothing
DENSE_CAPACITY = 4.0  # compression up to which a network could learn what the dense one can
FAR = 0.1  # training error at which a whole, unhindered network is far from its labels
_LEAST = 3  # epochs that a line is fitted to


def memorizes(kind: object) -> bool:
    """Return whether networks learn every target in a kind of task, where nothing hinders them.

    Args:
        kind: Its name, as records have it; what is none or unknown counts as classification.
    """
    known = registry.builtin(TaskKindTraits).get(str(kind))
    return known is None or known.traits.memorizes


def under_trained(
    train_error: float | None, *, noisy: bool, augmented: bool, memorizes: bool = True
) -> bool:
    """Return whether a baseline did not learn its training set although it could have.

    Gains over such a network are spurious. With augmentation alone it need not learn every sample.

    Args:
        train_error: Against the labels trained on, a fraction; None or NaN where not measured.
        noisy: Whether its regime has wrong labels.
        augmented: Whether its regime trains with augmentation.
        memorizes: Whether networks learn every target in its kind of task, where nothing hinders
            them.
    """
    expected = noisy or (memorizes and not augmented)
    return expected and (train_error or 0.0) > MEMORIZED_AT


def loss_fall(history: Sequence[dict[str, Any]]) -> float | None:
    """Return by which share the training loss still fell near the end of a training.

    Near the end is the last third of the epochs whose learning rate had not vanished: where it has,
    the loss stands still whatever the network could still learn. A straight line is fitted to the
    logarithms of the losses there, and compared at its ends: single epochs are noisy.

    Args:
        history: For each epoch its ``epoch``, ``learning_rate`` and ``train_loss``.

    Returns:
        1 − last/first of the fitted losses, negative where they rose; None where the epochs are too
        few to tell.
    """
    largest = max((entry["learning_rate"] for entry in history), default=0.0)
    moving = [
        (entry["epoch"], math.log(entry["train_loss"]))
        for entry in history
        if (entry["train_loss"] or 0.0) > 0 and entry["learning_rate"] >= VANISHED * largest
    ]
    late = moving[-(len(moving) // 3) :] if len(moving) // 3 >= _LEAST else []
    if not late:
        return None
    epochs, losses = zip(*late, strict=True)
    slope, _ = linear_regression(epochs, losses)
    return 1 - math.exp(slope * (epochs[-1] - epochs[0]))


@dataclass(frozen=True)
class Capacity:
    """What a network could be expected to learn of its training set.

    Attributes:
        compression: Its weights before pruning over those kept.
        hindered: Whether something keeps it from its labels on purpose: augmentation, a tuned
            penalty.
        chance: The training error of always naming the commonest label, a fraction.
        memorizes: Whether networks learn every target in this kind of task. Where they do not,
            only what is no better than chance has failed.
    """

    compression: float
    hindered: bool
    chance: float
    memorizes: bool = True

    @property
    def far(self) -> float:
        """The training error above which training has failed; infinite where none tells.

        A whole network fits anything; a smaller or a hindered one that ends nearer to chance than
        to its labels has not trained either.
        """
        if self.compression > DENSE_CAPACITY:
            return float("inf")
        if not self.memorizes:
            return self.chance
        whole = self.compression == 1 and not self.hindered
        return min(FAR, self.chance / 2) if whole else self.chance / 2


def outcome(train_error: float, fall: float | None, capacity: Capacity, *, stops: bool) -> str:
    """Return how a training ended: one of the words of the column ``training_outcome``.

    Args:
        train_error: Against the labels trained on, a fraction.
        fall: As ``loss_fall`` returns it.
        capacity: What could be expected of the network.
        stops: Whether its last state was chosen on validation, and is no end of a training.
    """
    if stops:
        return STOPPED
    if train_error <= MEMORIZED_AT:
        return TRAINED_OUT
    if train_error > capacity.far:
        return FAILED_TO_TRAIN
    return TRAINED_OUT if fall is not None and fall < PLATEAU else UNDER_TRAINED
