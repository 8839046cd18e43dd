"""What one counter counts of an experiment: its cells, the jobs that follow, and what people read.

The jobs of a workflow are processes of their own, which see each other's work in files alone. A
cell's record of other settings is a file, too: whoever starts the experiment notes which these are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.layout import LEFT_IN_CELLS, RECORD, STEPS, Layout
from prunebench.storage.records import DIVERGED, FAILED

FOLLOWING = ("probes", "latencies", "measures")  # kinds of jobs, in their order
FIRST = "collect"  # of STEPS: what the others stand on
NAMES = {"kit": "paper", "crate": "RO-Crate", "track": "export"}  # of steps, to people


@dataclass(frozen=True)
class Noted:
    """What whoever started an experiment noted of it."""

    since: float = 0.0  # seconds since 1970
    stale: frozenset[str] = frozenset()  # folders of cells whose records are of other settings
    steps: tuple[str, ...] = tuple(STEPS)  # those of STEPS that follow
    again: bool = False  # what follows is made in any case

    def stands(self, cell: Cell) -> bool:
        """Return whether the record of a cell is there, and is not one of other settings."""
        written = _time(cell.folder / RECORD)
        return written > (self.since if str(cell.folder) in self.stale else 0)


def begin(plan: Plan, steps: Sequence[str], again: bool = False) -> None:
    """Note what is to be counted, before the first job.

    Args:
        plan: the experiment.
        steps: which of STEPS will follow.
        again: whether measures and steps are made in any case, not only where they are old.
    """
    stale = [str(cell.folder) for curve in _curves(plan) for cell in _stale(curve)]
    found = {"since": time.time(), "stale": stale, "steps": list(steps), "again": again}
    write_sealed(_file(plan.layout), found)


def noted(layout: Layout) -> Noted:
    """Return what was noted; of an experiment that nobody has started, that all is to come."""
    try:
        found = read_sealed(_file(layout))
        stale, steps = frozenset(found["stale"]), tuple(found["steps"])
        return Noted(found["since"], stale, steps, found["again"])
    except (PrunebenchError, KeyError, TypeError):
        return Noted()


def following(plan: Plan, known: Noted) -> dict[str, Callable[[], bool]]:
    """Return what follows training, by its name, each with the function that says if it is done.

    Done is what is not older than what it stands on; its cells must be there.
    """
    found: dict[str, Callable[[], bool]] = {}
    for kind in FOLLOWING:
        for name in plan.jobs.get(kind, ()):
            found[job_name(kind, name)] = _job(plan, kind, name, known)
    outputs = plan.layout.steps()
    on = [cell.folder / RECORD for curve in _curves(plan) for cell in curve]
    on += [plan.layout.measured(name) for name in plan.measure_jobs]
    for step in known.steps:
        more = [] if step == FIRST else [outputs[FIRST]]
        found[step_name(step)] = _newer(outputs[step], [*on, *more], known)
    return found


def job_name(kind: str, name: str) -> str:
    """Return what a job is called in the lines of progress."""
    return f"{kind}: {name}"


def step_name(step: str) -> str:
    """Return what one of STEPS is called in the lines of progress."""
    return NAMES.get(step, step)


def _job(plan: Plan, kind: str, name: str, known: Noted) -> Callable[[], bool]:
    def done() -> bool:
        cells = list(plan.cells_of(kind, name))
        if kind in LEFT_IN_CELLS:
            return all(_left(cell, LEFT_IN_CELLS[kind]) for cell in cells)
        records = [cell.folder / RECORD for cell in cells]
        return _newer(plan.layout.measured(name), records, known)()

    return done


def _left(cell: Cell, name: str) -> bool:
    """Return whether a job left its file beside a cell that has a network to look at."""
    if _time(cell.folder / name) >= _time(cell.folder / RECORD):
        return True
    return (cell.record() or {}).get("status") in (FAILED, DIVERGED)


def _newer(output: Path, on: Sequence[Path], known: Noted) -> Callable[[], bool]:
    def newer() -> bool:
        least = known.since if known.again else 0.0
        return _time(output) >= max(least, *map(_time, on)) and all(map(_time, on))

    return newer


def _time(path: Path) -> float:
    """Return when a file was written, in seconds since 1970; 0: it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _curves(plan: Plan) -> Iterator[list[Cell]]:
    for baseline in plan.baselines:
        yield [plan.cell(baseline)]
        for method in plan.experiment.methods:
            yield list(plan.curve(baseline, method))


def _stale(curve: Sequence[Cell]) -> list[Cell]:
    """Return the cells of a curve whose records are of other settings.

    They are computed in their order: where the last is of these settings, all are.
    """
    there = [(cell, record) for cell in curve if (record := cell.record()) is not None]
    if not there or _is_own(*there[-1]):
        return []
    return [cell for cell, record in there if not _is_own(cell, record)]


def _is_own(cell: Cell, record: Mapping[str, object]) -> bool:
    data, weights = record.get("data_hash"), record.get("weights_hash")
    own = cell.identity(str(data), None if weights is None else str(weights))
    return record.get("identity") == own


def _file(layout: Layout) -> Path:
    return layout.root / "jobs" / "counted.json"
