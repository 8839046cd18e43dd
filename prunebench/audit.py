"""What was damaged since it was written: found by hash, named, and given back to be computed anew.

Snakemake sees whether the file of a job is there, not what lies in the cells. So before it looks,
the cells of finished jobs are looked at here; the file of a job goes if one of its cells is
damaged, or is no longer what the job computed: ``prunebench run`` may have put another there.
A file that is older than the record that names its hash is taken for what it was (see ``notes``),
unless the look is ``thorough``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from prunebench import inputs, made
from prunebench.errors import PrunebenchError
from prunebench.files import read_sealed, remove_file
from prunebench.layout import LATENCY, PROBES, RECORD, Layout
from prunebench.notes import as_written
from prunebench.plan import Plan
from prunebench.records import DIVERGED, FAILED
from prunebench.removal import note

EVERY = "every"  # cell is taken for one that a job had finished
Found = dict[Path, Path | None]  # damaged files, and where what they hold was put, if anywhere


def damaged(
    plan: Plan, data: Path = inputs.DATA, thorough: bool = False, mend: bool = True
) -> Found:
    """Damaged files of an experiment and its data; what says that they are done is removed.

    So they are computed anew. Nothing else goes but what is made in seconds: the measures of such a
    job, and what is made of the records. ``data``: where the tasks' data lie. Without ``mend`` all
    is left as it is. Raises Unwritable.
    """
    found: Found = {}
    for task in plan.experiment.tasks:
        found |= dict.fromkeys(inputs.damaged(task, data, thorough, mend))
    again = set()
    for target, of_job, stale in _jobs(plan, thorough):
        found |= dict.fromkeys(of_job)
        if of_job or stale:
            again.add(f"{target.parent.name}/{target.stem}")
            if mend:
                remove_file(target)
    measures = list(_measures(plan, again, mend))
    found |= dict.fromkeys(measures)
    found |= made.damaged(plan.layout, thorough, mend)
    if mend and (again or measures):
        made.remove(plan.layout, "collect")
    return found


def said(found: Mapping[Path, Path | None]) -> str:
    """Damaged files in words, a line each; "" where there are none."""
    return "\n".join(
        f"damaged: {path} is missing or not as it was written: made anew where it is needed"
        + (f" (what it held: {kept})" if kept else "")
        for path, kept in found.items()
    )


def _jobs(plan: Plan, thorough: bool) -> Iterator[tuple[Path, list[Path], bool]]:
    """Of every job that writes into cells its file, damaged files, and whether it is stale.

    Stale: a record is no longer the one that the job computed. What a job was not asked for when it
    finished, under other settings, need not be there; what has not finished finds damage itself.
    """
    for kind, jobs in (("baselines", plan.baseline_jobs), ("curves", plan.curve_jobs)):
        for name in jobs:
            yield _of_job(plan, kind, name, partial(_computed, thorough=thorough))
    for kind, jobs, file in (
        ("probes", plan.probe_jobs, PROBES), ("latencies", plan.latency_jobs, LATENCY)
    ):  # fmt: skip
        for name in jobs:
            yield _of_job(plan, kind, name, partial(_looked, name=file))


def _of_job(
    plan: Plan, kind: str, name: str, look: Callable[..., tuple[list[Path], bool]]
) -> tuple[Path, list[Path], bool]:
    target = plan.layout.root / "jobs" / kind / f"{name}.json"
    cells = [cell.folder for cell in plan.cells_of(kind, name)]
    try:
        said = read_sealed(target)["cells"] if target.exists() else None
    except (PrunebenchError, KeyError):
        # which cells it had finished is not known: all, or it would be at work
        damaged, _ = look(plan.layout, cells, said=EVERY)
        return target, [*damaged, target], False
    return target, *look(plan.layout, cells, said=said)


def _computed(
    layout: Layout, cells: list[Path], said: Any, thorough: bool
) -> tuple[list[Path], bool]:
    """Of a job that computed cells; ``said``: its rows of them, None where it has not finished."""
    rows = said if isinstance(said, list) else []
    listed: dict[Path, str | None] = dict.fromkeys(cells) if said == EVERY else {
        layout.cell(
            row["task"], row["regime"], row["model"], row["seed"], row["method"], row["sparsity"]
        ): row["identity"]
        for row in rows
    }  # fmt: skip
    damaged: list[Path] = []
    stale = False
    for folder in cells:
        record = folder / RECORD
        if folder not in listed and not record.exists():
            continue
        try:
            content = read_sealed(record)
            files, identity = content["files"], content["identity"]
        except (PrunebenchError, KeyError):
            damaged.append(record)
            continue
        stale |= listed.get(folder) not in (None, identity)
        written = record.stat().st_mtime_ns
        removed = note(folder, content)["removed"]
        damaged += [
            folder / name
            for name, sha in files.items()
            if name not in removed and not as_written(folder / name, sha, written, thorough)
        ]
    return damaged, stale


def _looked(layout: Layout, cells: list[Path], said: Any, name: str) -> tuple[list[Path], bool]:
    """Of a job that looked at cells; ``said``: at how many. What it wrote is sealed in itself."""
    damaged = []
    for folder in cells:
        if said not in (EVERY, len(cells)) and not (folder / name).exists():
            continue
        try:
            looked_at = read_sealed(folder / RECORD)["status"] not in (FAILED, DIVERGED)
        except (PrunebenchError, KeyError):
            continue  # its own job is told of it
        if looked_at and _unreadable(folder / name):
            damaged.append(folder / name)
    return damaged, False


def _measures(plan: Plan, again: set[str], mend: bool) -> Iterator[Path]:
    """Damaged measures; these go, and those of jobs that run ``again``.

    Snakemake would not ask for the file of a job as long as what is made of it is there.
    """
    for name in plan.measure_jobs:
        path = plan.layout.measured(name)
        fault = path.exists() and _unreadable(path)
        if fault:
            yield path
        if mend and (fault or plan.waits_for("measures", name) & again):
            remove_file(path)


def _unreadable(path: Path) -> bool:
    try:
        read_sealed(path)
    except PrunebenchError:
        return True
    return False
