"""What was damaged since it was written: found by hash, named, and given back to be computed anew.

Snakemake sees whether the file of a job is there, not what lies in the cells. So before it looks,
the cells of finished jobs are looked at here; the file of a job with a damaged cell is removed.
A file that is older than the record that names its hash is taken for what it was (see ``notes``),
unless the look is ``thorough``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from prunebench import inputs, made
from prunebench.errors import PrunebenchError
from prunebench.files import read_sealed
from prunebench.layout import LATENCY, PROBES, RECORD, Layout
from prunebench.notes import as_written
from prunebench.plan import Plan
from prunebench.records import DIVERGED, FAILED
from prunebench.removal import note


def damaged(plan: Plan, data: Path = inputs.DATA, thorough: bool = False) -> list[str]:
    """Remove what stands on damaged files, so that it is computed anew; name these files.

    ``data``: where the tasks' data lie. Nothing is removed that is whole, but for what is made of
    it in seconds: the measures of a job, and what is made of the records.
    """
    by_job = {
        name: found for name, cells, check in _jobs(plan, thorough)
        if (found := _of_job(plan, name, cells, check))
    }  # fmt: skip
    measures = list(_measures(plan, set(by_job)))
    of_data = [p for task in plan.experiment.tasks for p in inputs.damaged(task, data, thorough)]
    found = [*of_data, *(path for paths in by_job.values() for path in paths), *measures]
    if by_job or measures:
        made.remove(plan.layout, "collect")
    return list(dict.fromkeys(map(str, [*found, *made.damaged(plan.layout, thorough)])))


def said(found: Iterable[str], layout: Layout) -> str:
    """Damaged files in words, a line each; "" where there are none."""
    lines = []
    for path in found:
        line = f"damaged: {path} is missing or not as it was written: computed anew"
        kept = made.aside(layout, Path(path))
        lines.append(f"{line} (what it held: {kept})" if kept else line)
    return "\n".join(lines)


# the damaged files of a cell's folder; False: it need not have any yet
Check = Callable[[Path, bool], list[Path]]


def _jobs(plan: Plan, thorough: bool) -> Iterator[tuple[str, list[Path], Check]]:
    """Every job that writes into cells: its name, its cells, and what to look at in each."""
    for kind, jobs in (("baselines", plan.baseline_jobs), ("curves", plan.curve_jobs)):
        for name in jobs:
            cells = [cell.folder for cell in plan.cells_of(kind, name)]
            yield f"{kind}/{name}", cells, partial(_cell, thorough=thorough)
    looks = (("probes", PROBES, plan.probe_jobs), ("latencies", LATENCY, plan.latency_jobs))
    for kind, file, looking in looks:
        for name in looking:
            cells = [cell.folder for cell in plan.cells_of(kind, name)]
            yield f"{kind}/{name}", cells, partial(_look, name=file)


def _of_job(plan: Plan, name: str, cells: Iterable[Path], check: Check) -> list[Path]:
    """Damaged files of a job; if there are any, the file goes that says that it is finished.

    One that is not, or leaves no such file, finds the damage itself, and computes what is missing.
    """
    target = plan.layout.root / "jobs" / f"{name}.json"
    finished = target.exists()
    found = [path for cell in cells for path in check(cell, finished)]
    if finished and _unreadable(target):
        found.append(target)
    if found:
        target.unlink(missing_ok=True)
    return found


def _measures(plan: Plan, gone: set[str]) -> Iterator[Path]:
    """Damaged measures; these go, and those of jobs that are ``gone``.

    Snakemake would not ask for the file of a job as long as what is made of it is there.
    """
    for name in plan.measure_jobs:
        path = plan.layout.measured(name)
        if path.exists() and _unreadable(path):
            path.unlink()
            yield path
        elif plan.waits_for("measures", name) & gone:
            path.unlink(missing_ok=True)


def _unreadable(path: Path) -> bool:
    try:
        read_sealed(path)
    except PrunebenchError:
        return True
    return False


def _cell(folder: Path, finished: bool, thorough: bool) -> list[Path]:
    record = folder / RECORD
    if not finished and not record.exists():
        return []
    try:
        said = read_sealed(record)
        files = said["files"]
    except (PrunebenchError, KeyError):
        return [record]
    written = record.stat().st_mtime_ns
    removed = note(folder, said)["removed"]
    return [
        folder / name
        for name, sha in files.items()
        if name not in removed and not as_written(folder / name, sha, written, thorough)
    ]


def _look(folder: Path, finished: bool, name: str) -> list[Path]:
    if not finished and not (folder / name).exists():
        return []
    try:
        looked_at = read_sealed(folder / RECORD)["status"] not in (FAILED, DIVERGED)
    except (PrunebenchError, KeyError):
        return []  # its own job is told of it
    return [folder / name] if looked_at and _unreadable(folder / name) else []
