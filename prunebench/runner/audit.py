"""What was damaged since it was written: found by hash, named, and given back to be computed anew.

Snakemake sees whether the file of a job is there, not what lies in the cells. So before it looks,
the cells of finished jobs are looked at here; the file of a job goes if one of its cells is
damaged, or is no longer what the job computed: ``prunebench run`` may have put another there.
A file that is older than the record that names its hash is taken for what it was (see ``notes``),
unless the look is ``thorough``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.experiment import prepared_data
from prunebench.experiment.plan import Plan
from prunebench.storage import outputs
from prunebench.storage.files import read_sealed, remove_file
from prunebench.storage.layout import LEFT, RECORD, Layout
from prunebench.storage.manifest import as_written
from prunebench.storage.records import DIVERGED, FAILED
from prunebench.storage.removed_files import note

# folders of the cells that a job is done with, and the identities that it gave them, where known
Done = Mapping[Path, str | None]
Found = dict[Path, Path | None]  # damaged files, and where what they hold was put, if anywhere


def damaged(
    plan: Plan, data: Path = prepared_data.DATA, thorough: bool = False, mend: bool = True
) -> Found:
    """Damaged files of an experiment and its data; what says that they are done is removed.

    So they are computed anew. Nothing else goes but what is made in seconds: the measures of such a
    job, and what is made of the records. ``data``: where the tasks' data lie. Without ``mend`` all
    is left as it is. Raises Unwritable.
    """
    found: Found = {}
    for task in plan.experiment.tasks:
        found |= dict.fromkeys(prepared_data.damaged(task, data, thorough, mend))
    again = set()
    for name, of_job, stale in _jobs(plan, thorough):
        found |= dict.fromkeys(of_job)
        if of_job or stale:
            again.add(name)
            if mend:
                remove_file(plan.layout.job(*name.split("/")))
    measures = list(_measures(plan, again, mend))
    found |= dict.fromkeys(measures)
    found |= outputs.damaged(plan.layout, thorough, mend)
    if mend and (again or measures):
        outputs.remove(plan.layout, "collect")
    return found


def said(found: Mapping[Path, Path | None]) -> str:
    """Damaged files in words, a line each; "" where there are none."""
    return "\n".join(
        f"damaged: {path} is missing or not as it was written: made anew where it is needed"
        + (f" (what it held: {kept})" if kept else "")
        for path, kept in found.items()
    )


def _jobs(plan: Plan, thorough: bool) -> Iterator[tuple[str, list[Path], bool]]:
    """Of every job that writes into cells its name, damaged files, and whether it is stale.

    Stale: a record is no longer the one that the job computed. What a job was not asked for when it
    finished, under other settings, need not be there; what has not finished finds damage itself.
    """
    for kind, file in LEFT.items():
        look = partial(_computed, thorough=thorough) if file == RECORD else partial(_looked, file)
        for name in plan.jobs[kind]:
            path = plan.layout.job(kind, name)
            cells = [cell.folder for cell in plan.cells_of(kind, name)]
            own = []
            try:
                done = _done(plan.layout, path, cells) if path.exists() else {}
            except PrunebenchError:
                # of which cells it was done is not known: of all, or there would be no such file
                own, done = [path], dict.fromkeys(cells)
            damaged, stale = look(cells, done)
            yield f"{kind}/{name}", damaged + own, stale


def _done(layout: Layout, path: Path, cells: list[Path]) -> Done:
    """The cells that a job's file says to be done; PrunebenchError where it is damaged."""
    said = read_sealed(path).get("cells")
    if isinstance(said, int):  # it looked at so many
        return dict.fromkeys(cells) if said == len(cells) else {}
    if not isinstance(said, list):
        raise PrunebenchError(f"{path} is damaged: it lists no cells")
    return {
        layout.cell(
            row["task"], row["regime"], row["model"], row["seed"], row["method"], row["sparsity"]
        ): row["identity"]
        for row in said
    }


def _computed(cells: list[Path], done: Done, thorough: bool) -> tuple[list[Path], bool]:
    """Of a job that computed cells: damaged files, and whether another record stands there now."""
    damaged: list[Path] = []
    stale = False
    for folder in cells:
        record = folder / RECORD
        if folder not in done and not record.exists():
            continue
        try:
            content = read_sealed(record)
            files, identity = content["files"], content["identity"]
        except (PrunebenchError, KeyError):
            damaged.append(record)
            continue
        stale |= done.get(folder) not in (None, identity)
        written = record.stat().st_mtime_ns
        removed = note(folder, content)["removed"]
        damaged += [
            folder / name
            for name, sha in files.items()
            if name not in removed and not as_written(folder / name, sha, written, thorough)
        ]
    return damaged, stale


def _looked(name: str, cells: list[Path], done: Done) -> tuple[list[Path], bool]:
    """Of a job that looked at cells. What it wrote, ``name`` in each, is sealed in itself."""
    damaged = []
    for folder in cells:
        if folder not in done and not (folder / name).exists():
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
