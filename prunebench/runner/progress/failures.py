"""Failures: found in records and logs; told by ``status`` and, with their logs, as a run ends."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, printable, text_of
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.runner.progress.time_left import Effort, efforts
from prunebench.storage.files import require_plain
from prunebench.storage.layout import LEFT_IN_CELLS
from prunebench.storage.records import FAILED
from prunebench.text.numbers import plural

SHOWN = 12  # failures of a kind that people are shown
# signs of a traceback, and of a message in it; one of somebody's own code may have millions
_TRACED, _LONG = 20_000, 4000
_END = 2**16  # bytes at the end of a log that are read


@dataclass(frozen=True)
class FailedCells:
    """Cells of one curve that failed with the same message."""

    first: Cell
    count: int
    message: str
    log: str  # "" where the workflow did not run the job: what it said is on the screen


def named(cell: Cell, error: Exception) -> str:
    """Return an error on a cell's curve as one line."""
    task, regime, model, seed = cell.baseline.key
    said = text_of(error)
    if not isinstance(error, PrunebenchError):
        said = f"{type(error).__name__}: {said}"
    return f"{task}/{regime}/{model}/seed {seed} {cell.method_name}: {said}"


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory was not enough: nothing that a method's record should say."""
    # torch has a class for GPUs alone
    lacked = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in text_of(error)
    return lacked or isinstance(error, MemoryError)


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error, as far as people read, to standard error."""
    said = text_of(error)
    if len(said) < _LONG:
        text = "".join(traceback.format_exception(error))
    else:  # to lay out millions of signs takes long
        place = "".join(traceback.format_tb(error.__traceback__))
        text = f"{place}{type(error).__name__}: {said}\n"
    cut = f"{text[:_TRACED]}…\n" if len(text) > _TRACED else text
    print(cut, end="", file=sys.stderr, flush=True)


def failed_cells(
    plan: Plan, records: Iterable[tuple[Effort, Mapping[str, Any] | None]]
) -> list[FailedCells]:
    """Return the failed ones of some cells: those of a curve that say the same as one."""
    alike: dict[tuple[Any, ...], list[Effort]] = {}
    for effort, record in records:
        if record is not None and record.get("status") == FAILED:
            message = str(record.get("message"))
            alike.setdefault((effort.job, *effort.key[:5], message), []).append(effort)
    found = []
    for (job, *_, message), cells in alike.items():
        log = plan.layout.log(job)
        shown = str(log) if log.exists() else ""
        found.append(FailedCells(cells[0].cell, len(cells), message, shown))
    return found


def wholly_failed(plan: Plan, as_far_as_computed: bool = False) -> list[str]:
    """Return the names of the methods of which every cell failed.

    Args:
        plan: an experiment whose cells were computed.
        as_far_as_computed: some were: a race drops methods.
    """
    found = []
    for method in plan.experiment.methods:
        cells = (cell for baseline in plan.baselines for cell in plan.curve(baseline, method))
        records = [cell.record() for cell in cells]
        if as_far_as_computed:
            records = [record for record in records if record]
        if records and all((record or {}).get("status") == FAILED for record in records):
            found.append(method.name)
    return found


def last_words(log: Path) -> str:
    """Return the line that a log ends with; "" where that is no error: the job was killed."""
    require_plain(log)
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
        lines = file.read(_END).decode(errors="replace").splitlines()
    said = [line for line in lines if line.strip()]
    # a process that is killed says nothing; the shell may, behind its last line of progress
    if not said or said[-1].startswith("[") or re.search(r": line \d+: +\d+ Killed\b", said[-1]):
        return ""
    return said[-1].strip()


def text(plan: Plan, since: float | None = None) -> str:
    """Return the jobs that did not end well and the cells that failed, with why and their logs.

    Args:
        plan: The experiment.
        since: When the run began, in seconds since 1970: older logs are ignored, and also its
            data and what it makes of the records are looked at. None: whatever the folder holds.

    Returns:
        Some lines; "" where nothing failed.
    """
    jobs, cells = list(_job_lines(plan, since)), list(_cell_lines(plan))
    parts = []
    for title, lines in (
        ("Jobs that failed (the same command tries them again):", jobs),
        ("Cells that failed (nothing else depends on them):", cells),
    ):
        if lines:
            parts += [title, *(f"  - {printable(line)}" for line in lines[:SHOWN])]
        if len(lines) > SHOWN:
            parts.append(f"  - and {len(lines) - SHOWN} more")
    return "\n".join(parts)


def _job_lines(plan: Plan, since: float | None) -> Iterator[str]:
    """Yield a line for each job that began, as its log says, and has no output."""
    expected = {
        f"{kind}/{name}": plan.layout.job(kind, name)
        for kind, jobs in plan.jobs.items()
        for name in jobs
    }
    if since is not None:
        # data may lie elsewhere by now, and pages be unwanted: only of a run do these say something
        expected = {**_data(plan), **expected, **plan.layout.steps()}
    for name, output in expected.items():
        log = plan.layout.log(name)
        if output.exists() or not log.exists() or (since is None and _has_cells(plan, name)):
            continue
        if since is None or log.stat().st_mtime >= since:
            why = last_words(log) or "it was killed, perhaps for want of memory"
            yield f"{name}: {why}; log: {log}"


def _data(plan: Plan) -> dict[str, Path]:
    """Return what the workflow makes of each task's data, by the name of the job."""
    tasks = plan.experiment.tasks
    return {
        f"{kind}/{task.name}": plan.layout.job(kind, task.name)
        for kind in ("download", "prepare")
        for task in tasks
    }


def _has_cells(plan: Plan, name: str) -> bool:
    """Return whether a job's cells are there: ``prunebench run`` leaves no file of a job."""
    kind, _, job = name.partition("/")
    return kind in LEFT_IN_CELLS and all(
        (cell.folder / LEFT_IN_CELLS[kind]).exists() for cell in plan.cells_of(kind, job)
    )


def _cell_lines(plan: Plan) -> Iterator[str]:
    """Yield a line for all cells of a method that say the same, the most of them first."""
    alike: dict[tuple[str, str], list[FailedCells]] = {}
    for each in failed_cells(plan, ((effort, effort.cell.record()) for effort in efforts(plan))):
        alike.setdefault((each.first.method_name, each.message), []).append(each)
    lines = []
    for (method, message), found in alike.items():
        count = sum(each.count for each in found)
        task, regime, model, seed = found[0].first.baseline.key
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        many = plural(count, "cell")
        log = f"; log: {found[0].log}" if found[0].log else ""
        where = f"{task}/{regime}/{model}/seed {seed}{others}"
        lines.append((count, f"{where}: {method} ({many}): {message}{log}"))
    for _, line in sorted(lines, key=lambda each: -each[0]):
        yield line
