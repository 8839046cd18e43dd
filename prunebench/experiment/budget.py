"""Number of epochs that a cell trains for, from the parts of its method.

A record's ``train_epochs`` counts all training that led to the cell: the baseline's, where its
weights were used, and that of every round before. The numbers stand here a second time, apart from
the code that trains, so that a check can find that the two disagree, and so that a control can be
given the budget of what it is compared with before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prunebench.experiment.part_kinds import Recovery
from prunebench.experiment.settings.method import Method
from prunebench.experiment.settings.training import Training

Given = dict[str, Any]  # the parameters of a schedule or a recovery
_DECAYS = 5  # that tuned-weight-decay tries where none are named


def _tuning(training: Training, given: Given) -> int:
    return int(given["epochs"] or training.recovery_epochs or training.epochs)


# recovery -> epochs of one of its trainings, at length 1
RECOVERIES: dict[str, Callable[[Training, Given], int]] = {
    "none": lambda training, given: 0,
    "batch-norm-recalibration": lambda training, given: 0,
    "fine-tuning": _tuning,
    "distillation": lambda t, given: t.epochs if given["rewind"] else _tuning(t, given),
    "last-rate-fine-tuning": lambda t, given: given["times"] * t.epochs,
    "learning-rate-rewinding": lambda t, given: given["times"] * (t.epochs - given["to_epoch"]),
    "weight-rewinding": lambda t, given: t.epochs - given["to_epoch"],
    "re-initialization": lambda t, given: t.epochs,
    "early-stopping": lambda t, given: t.epochs,
    "tuned-weight-decay": lambda t, given: t.epochs,
}
# recovery -> its trainings, where there is more than one
TRAININGS: dict[str, Callable[[Given], int]] = {
    "tuned-weight-decay": lambda given: len(given["values"] or range(_DECAYS)),
}


def _iterative(method: Method, training: Training, sparsity: float, each: float) -> float:
    kept, before = 1 - method.schedule.parameters["rate"], 0
    while round(1 - kept ** (before + 1), 10) < sparsity:
        before += 1
    return training.epochs + each * (before + 1)


def _dense(method: Method, training: Training, sparsity: float, each: float) -> float:
    from_scratch = method.spec(Recovery).traits.from_scratch
    return each if from_scratch else training.epochs + each


def _gradual(method: Method, training: Training, sparsity: float, each: float) -> float:
    given = method.schedule.parameters
    trained = training.epochs if given["start"] == "trained" else 0
    return trained + round(given["stretch"] * training.epochs) + each


# schedule -> epochs of a cell, of which ``each`` is a recovery's
SCHEDULES: dict[str, Callable[[Method, Training, float, float], float]] = {
    "one-shot": lambda m, training, s, each: training.epochs + each,
    "at-initialization": lambda m, training, s, each: each,
    "dense": _dense,
    "iterative": _iterative,
    "regularized": lambda m, training, s, each: training.epochs + each,
    "gradual": _gradual,
    "dynamic": lambda m, t, s, each: round(m.schedule.parameters["stretch"] * t.epochs) + each,
}


def budget(method: Method, training: Training, sparsity: float) -> float | None:
    """Return the epochs that led to a finished cell.

    Args:
        method: the cell's method.
        training: how its baseline was trained.
        sparsity: the cell's target.

    Returns:
        The number of epochs; None for a schedule or a recovery that does not ship.
    """
    schedule, each = SCHEDULES.get(method.schedule.name), recovery_epochs(method, training)
    if schedule is None or each is None:
        return None
    return float(schedule(method, training, sparsity, each))


def recovery_epochs(method: Method, training: Training) -> int | None:
    """Return the epochs of one recovery of a method, all its trainings together.

    None for a recovery that does not ship.
    """
    recovery, given = RECOVERIES.get(method.recovery.name), method.recovery.parameters
    if recovery is None:
        return None
    once = recovery(training, given)
    once = max(1, round(method.length * once)) if once else 0
    return once * TRAININGS.get(method.recovery.name, lambda given: 1)(given)
