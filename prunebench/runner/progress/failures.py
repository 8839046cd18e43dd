"""What went wrong: in words for an error, and at the end of a run with the path of each log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prunebench.errors import PrunebenchError, printable
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import DATA, prepared
from prunebench.storage.files import read_sealed
from prunebench.storage.layout import LEFT, RECORD
from prunebench.storage.records import FAILED

SHOWN = 12  # faults of a kind


def named(cell: Cell, error: Exception) -> str:
    """Return an error on a cell's curve as one line."""
    task, regime, model, seed = cell.baseline.key
    said = str(error) if isinstance(error, PrunebenchError) else f"{type(error).__name__}: {error}"
    return f"{task}/{regime}/{model}/seed {seed} {cell.method_name}: {' '.join(said.split())}"


def out_of_memory(error: Exception) -> bool:
    """Whether memory was not enough: nothing that a method's record should say."""
    # torch has a class for GPUs alone
    lacked = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return lacked or isinstance(error, MemoryError)


def text(plan: Plan, since: float | None = None) -> str:
    """Jobs that did not end well and cells that failed, why, and their logs; "" where none.

    ``since``: jobs whose log was written before (seconds since 1970) are not told of.
    """
    jobs, cells = list(_jobs(plan, since)), list(_cells(plan))
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


def _jobs(plan: Plan, since: float | None) -> Iterator[str]:
    """Jobs that began, as their log says, and have no output."""
    # data may lie elsewhere by now, and pages be unwanted: only of a run do these say something
    expected = (
        _jobs_of(plan)
        if since is None
        else {**_data(plan), **_jobs_of(plan), **plan.layout.steps()}
    )
    for name, output in expected.items():
        log = plan.layout.root / "logs" / f"{name}.log"
        if output.exists() or not log.exists() or (since is None and _mended(plan, name)):
            continue
        if since is None or log.stat().st_mtime >= since:
            yield f"{name}: {_last_words(log)}; log: {log}"


def _data(plan: Plan) -> dict[str, Path]:
    """What the workflow makes of each task's data, by the name of the job."""
    tasks = plan.experiment.tasks
    fetched = {f"download/{task.name}": DATA / "raw" / f"{task.name}.done" for task in tasks}
    return fetched | {f"prepare/{task.name}": prepared(task) for task in tasks}


def _jobs_of(plan: Plan) -> dict[str, Path]:
    """The file that says that a job is done, by the job's name."""
    return {
        f"{kind}/{name}": plan.layout.job(kind, name)
        for kind, jobs in plan.jobs.items()
        for name in jobs
    }


def _mended(plan: Plan, name: str) -> bool:
    """Whether a job's cells are there all the same: ``prunebench run`` leaves no job's file."""
    kind, _, job = name.partition("/")
    return kind in LEFT and all(
        (cell.folder / LEFT[kind]).exists() for cell in plan.cells_of(kind, job)
    )


def _last_words(log: Path) -> str:
    """The error that a log ends with."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.strip()]
    # a process that is killed says nothing; the shell may, behind its last line of progress
    if not said or said[-1].startswith("[") or re.search(r": line \d+: +\d+ Killed\b", said[-1]):
        return "it was killed, perhaps for want of memory"
    return said[-1].strip()


def _cells(plan: Plan) -> Iterator[str]:
    """Failed cells: those of a method that say the same in one line, the most of them first."""
    alike: dict[tuple[str, str], list[Cell]] = {}
    logs: dict[tuple[str, str], Path] = {}
    for name, job in plan.curve_jobs.items():
        for cell in plan.cells_of("curves", name):
            with suppress(PrunebenchError):
                record = read_sealed(cell.folder / RECORD)
                if record["status"] == FAILED:
                    key = job.method.name, str(record["message"])
                    alike.setdefault(key, []).append(cell)
                    logs.setdefault(key, plan.layout.root / "logs" / "curves" / f"{name}.log")
    for key, cells in sorted(alike.items(), key=lambda item: -len(item[1])):
        method, message = key
        baselines = list(dict.fromkeys(cell.baseline.key for cell in cells))
        task, regime, model, seed = baselines[0]
        others = f" and {len(baselines) - 1} more" if len(baselines) > 1 else ""
        many = f"{len(cells)} cells" if len(cells) > 1 else "1 cell"
        # without the workflow there are no logs: what was said is on the screen
        log = f"; log: {logs[key]}" if logs[key].exists() else ""
        yield f"{task}/{regime}/{model}/seed {seed}{others}: {method} ({many}): {message}{log}"
