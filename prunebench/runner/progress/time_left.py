"""How long a cell takes to train: from cells like it that are done, and from its samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.jobs import Baseline, expected_epochs
from prunebench.experiment.plan import Plan
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.files import read_sealed
from prunebench.storage.layout import RECORD
from prunebench.storage.records import DENSE, FAILED

# samples of a task that takes all that its source has; only the ratio between regimes hangs on it
_UNKNOWN_SIZE = 50_000


@dataclass(frozen=True)
class Effort:
    """A cell and what it is expected to train: ``epochs`` of ``samples``."""

    key: Coordinates
    epochs: float
    samples: float
    folder: Path
    job: str  # kind/name, as its log is called

    @property
    def amount(self) -> float:
        """Samples seen in training, by which the time of like cells grows."""
        return self.epochs * self.samples

    @property
    def done(self) -> bool:
        """Whether its record is there, also one that says it failed."""
        return (self.folder / RECORD).exists()

    def record(self) -> dict[str, Any] | None:
        """Its record; None where it is missing or damaged."""
        with suppress(PrunebenchError):
            return read_sealed(self.folder / RECORD)
        return None


def samples_of(baseline: Baseline) -> float:
    """How many samples an epoch of a baseline has, about."""
    if baseline.regime.train_samples is not None:
        return baseline.regime.train_samples
    return (baseline.task.train or _UNKNOWN_SIZE) * baseline.regime.train_fraction


def efforts(plan: Plan) -> Iterator[Effort]:
    """Every cell of the grid: in the order in which each job computes its own."""
    for kind, names in (("baselines", plan.baseline_jobs), ("curves", plan.curve_jobs)):
        for name in names:
            for cell in plan.cells_of(kind, name):
                baseline, method = cell.baseline, cell.method
                epochs = float(baseline.training.epochs)
                if method is not None:
                    epochs = expected_epochs(method, baseline.training)
                yield Effort(
                    cell.coordinates, epochs, samples_of(baseline), cell.folder, f"{kind}/{name}"
                )


class Rates:
    """Seconds that training has taken, by task, model, method and regime."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], tuple[float, float]] = {}
        # epochs and seconds of the record seen last, by curve; of a baseline its only one
        self._spent: dict[tuple[str, str, str, int, str], tuple[float, float]] = {}

    def add(self, effort: Effort, record: dict[str, Any]) -> None:
        """Learn from a record; those of a curve in the order of their sparsities."""
        spent = record.get("train_epochs"), record.get("train_seconds")
        if record.get("status") == FAILED or spent[0] is None or spent[1] is None:
            return
        epochs, seconds = self._own(effort, (float(spent[0]), float(spent[1])))
        self._spent[effort.key[:5]] = float(spent[0]), float(spent[1])
        if epochs <= 0 or seconds <= 0:
            return
        for group in _groups(effort.key):
            before = self._sums.get(group, (0.0, 0.0))
            self._sums[group] = before[0] + seconds, before[1] + effort.amount

    def _own(self, effort: Effort, spent: tuple[float, float]) -> tuple[float, float]:
        """What a cell trained itself: a record counts what it stands on as well.

        That is nothing, its baseline, or the sparsity before it; which of them is told by what
        the cell is expected to train.
        """
        curve, nothing = effort.key[:5], (0.0, 0.0)
        before = ((*curve[:4], DENSE), curve) if curve[4] != DENSE else ()
        bases = [nothing, *(self._spent.get(key, nothing) for key in before)]
        own = [(spent[0] - base[0], spent[1] - base[1]) for base in bases]
        able = [value for value in own if value[0] > 0 and value[1] > 0]
        return min(able, key=lambda v: abs(v[0] - effort.epochs), default=(0.0, 0.0))

    def seconds(self, effort: Effort) -> float | None:
        """How long a cell will train; None where nothing is known yet."""
        for group in _groups(effort.key):
            if group in self._sums:
                seconds, amount = self._sums[group]
                return seconds / amount * effort.amount
        return None


def _groups(key: Coordinates) -> Iterator[tuple[str, ...]]:
    """The likest cells first; a method may train more often than its expected epochs say."""
    task, regime, model, _, method, _ = key
    yield task, model, method, regime
    yield task, model, method
    yield "", model, method
    yield task, model
    yield (model,)
    yield ()
