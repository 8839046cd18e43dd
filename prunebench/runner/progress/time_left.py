"""Time left: how long a cell trains, by the cells like it that are done and by its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prunebench.experiment.cell import Cell
from prunebench.experiment.jobs import Baseline, expected_epochs
from prunebench.experiment.plan import Plan
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.layout import LEFT_IN_CELLS, RECORD
from prunebench.storage.records import DENSE, FAILED

# samples of a task that takes all that its source has; only the ratio between regimes hangs on it
_UNKNOWN_SIZE = 50_000
# curves of a kind whose records are read: more would tell the same, and take longer in a large grid
_ENOUGH = 10
# pages of 430 and 6,060 records took 47 s and 258 s of one core
_PAGES, _PAGES_A_CELL = 30.0, 0.04  # seconds


def seconds_of_pages(cells: int) -> float:
    """Return about how long tables, figures and pages of a grid take, once it is measured."""
    return _PAGES + _PAGES_A_CELL * cells


Like = tuple[str, str, str, str]  # task, regime, model, method


@dataclass(frozen=True)
class Effort:
    """A cell and what it is expected to train: ``epochs`` of ``samples``."""

    cell: Cell
    job: str  # kind/name, as its log is called
    epochs: float
    samples: float

    @property
    def key(self) -> Coordinates:
        """The coordinates of the cell."""
        return self.cell.coordinates

    @property
    def like(self) -> Like:
        """What it has in common with cells that take as long for as much."""
        task, regime, model, _, method, _ = self.key
        return task, regime, model, method

    @property
    def amount(self) -> float:
        """Samples seen in training, by which the time of like cells grows."""
        return self.epochs * self.samples


def samples_of(baseline: Baseline) -> float:
    """Return about how many samples an epoch of a baseline has."""
    if baseline.regime.train_samples is not None:
        return baseline.regime.train_samples
    return (baseline.task.train or _UNKNOWN_SIZE) * baseline.regime.train_fraction


def efforts(plan: Plan) -> Iterator[Effort]:
    """Yield every cell of the grid, in the order in which each job computes its own."""
    for kind, jobs in plan.jobs.items():
        if LEFT_IN_CELLS.get(kind) != RECORD:
            continue
        for name in jobs:
            for cell in plan.cells_of(kind, name):
                training = cell.baseline.training
                epochs = expected_epochs(cell.method, training) if cell.method else training.epochs
                yield Effort(cell, f"{kind}/{name}", epochs, samples_of(cell.baseline))


class Rates:
    """Seconds that training has taken, by task, model, method and regime."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], tuple[float, float]] = {}
        # epochs and seconds of the record seen last, by curve; of a baseline its only one
        self._spent: dict[tuple[str, str, str, int, str], tuple[float, float]] = {}
        self._curves: Counter[Like] = Counter()  # that records were seen of

    def wants(self, effort: Effort) -> bool:
        """Return whether there is something to learn from a cell's record.

        Always from a baseline's: those of its methods count what it trained.
        """
        curve = effort.key[:5]
        return DENSE in curve or curve in self._spent or self._curves[effort.like] < _ENOUGH

    def add(self, effort: Effort, record: dict[str, Any]) -> None:
        """Learn from a record; those of a curve in the order of their sparsities."""
        spent = record.get("train_epochs"), record.get("train_seconds")
        if record.get("status") == FAILED or spent[0] is None or spent[1] is None:
            return
        epochs, seconds = self._own(effort, (float(spent[0]), float(spent[1])))
        self._curves[effort.like] += effort.key[:5] not in self._spent
        self._spent[effort.key[:5]] = float(spent[0]), float(spent[1])
        if epochs <= 0 or seconds <= 0:
            return
        for group in _groups(effort.like):
            before = self._sums.get(group, (0.0, 0.0))
            self._sums[group] = before[0] + seconds, before[1] + effort.amount

    def _own(self, effort: Effort, spent: tuple[float, float]) -> tuple[float, float]:
        """Return the epochs and seconds that a cell trained itself, without what it stands on.

        Its record counts that as well: nothing, its baseline, or the sparsity before it. What the
        cell is expected to train tells which.
        """
        curve, nothing = effort.key[:5], (0.0, 0.0)
        before = ((*curve[:4], DENSE), curve) if curve[4] != DENSE else ()
        bases = [nothing, *(self._spent.get(key, nothing) for key in before)]
        own = [(spent[0] - base[0], spent[1] - base[1]) for base in bases]
        able = [value for value in own if value[0] > 0 and value[1] > 0]
        return min(able, key=lambda v: abs(v[0] - effort.epochs), default=(0.0, 0.0))

    def seconds(self, like: Like, amount: float) -> float | None:
        """Return how long such cells will train for an amount; None: nothing is known yet."""
        for group in _groups(like):
            if group in self._sums:
                seconds, seen = self._sums[group]
                return seconds / seen * amount
        return None


def _groups(like: Like) -> Iterator[tuple[str, ...]]:
    """Yield what groups cells, the likest first.

    A method has groups of its own: it may train more often than its expected epochs say.
    """
    task, regime, model, method = like
    yield task, model, method, regime
    yield task, model, method
    yield "", model, method
    yield task, model
    yield (model,)
    yield ()
