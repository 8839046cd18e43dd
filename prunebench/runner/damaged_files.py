"""Find by hash what was damaged since it was written, and give it back to be computed again.

Snakemake sees whether the file of a job is there, not what lies in the cells. So the cells of
finished jobs are checked before it looks. The file of a job is removed if one of its cells is
damaged, or is no longer what the job computed: ``prunebench run`` may have put another there.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment import prepared_data
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Task
from prunebench.storage import outputs
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.files import read_sealed, remove_file
from prunebench.storage.layout import DATA, LEFT_IN_CELLS, RECORD, Layout
from prunebench.storage.manifest import Manifest, removal
from prunebench.storage.records import DIVERGED, FAILED

# folders of the cells that a job is done with, and the identities that it gave them, where known
Done = Mapping[Path, str | None]
Found = dict[Path, Path | None]  # damaged files, and where what they hold was moved, if anywhere


def damaged(
    plan: Plan, data: Path = DATA, thorough: bool = False, mend: bool = True, beside: bool = True
) -> Found:
    """Return damaged files of an experiment and its data; what says that they are done is removed.

    So they are computed again. Nothing else is removed but what is made in seconds: the measures of
    such a job, and what is made of the records.

    Args:
        plan: of the experiment.
        data: the folder of the tasks' data.
        thorough: read every file, instead of trusting lengths and times.
        mend: remove files; without it nothing is touched.
        beside: look at the export to MLflow's store, which lies beside the experiment's folder.

    Raises:
        Unwritable: a file cannot be removed.
    """
    found: Found = {}
    for task in plan.experiment.tasks:
        of_data = prepared_data.damaged(task, data, thorough, mend)
        found |= dict.fromkeys(of_data)
        if mend:
            _ask_for_data(plan, task, data, bool(of_data))
    again = set()
    for kind, jobs in plan.jobs.items():
        for name in jobs if kind in LEFT_IN_CELLS else ():
            of_job, stale = _of_job(plan, kind, name, thorough)
            found |= dict.fromkeys(of_job)
            if of_job or stale:
                again.add(f"{kind}/{name}")
                if mend:
                    remove_file(plan.layout.job(kind, name))
    measures = list(_measures(plan, again, mend))
    found |= dict.fromkeys(measures)
    found |= outputs.damaged(plan.layout, thorough, mend, beside)
    if mend and (again or measures):
        outputs.remove(plan.layout, "collect")
    return found


def _ask_for_data(plan: Plan, task: Task, data: Path, damaged: bool) -> None:
    """Remove what says to the workflow that a task's data are there, where they are not."""
    prepared = plan.layout.job("prepare", task.name)
    there = prepared_data.prepared(task, data).exists()
    why = prepared_data.changed(task, data) if prepared.exists() and there else ""
    if why:
        print(f"note: {why}", file=sys.stderr)
    if (damaged or why or not there) and prepared.exists():
        remove_file(prepared)
    fetched = plan.layout.job("download", task.name)
    if damaged and fetched.exists() and not there:
        remove_file(fetched)


def said(found: Found, repaired: bool = True) -> str:
    """Return the message on damaged files, a line each; "" where there are none.

    Args:
        found: what ``damaged`` returned.
        repaired: whether it gave them back to be computed again.
    """
    then = ": made again where it is needed" if repaired else ""
    return "\n".join(
        f"damaged: {path} is missing or not as it was written{then}"
        + (f" (what it held: {kept})" if kept else "")
        for path, kept in found.items()
    )


def _of_job(plan: Plan, kind: str, name: str, thorough: bool) -> tuple[list[Path], bool]:
    """Return damaged files of a job that writes into cells, and whether it is stale.

    Stale: a record is no longer the one that the job computed. Cells that the job was not asked for
    when it finished, under other settings, need not be there. A job that has not finished checks
    its files itself.
    """
    path = plan.layout.job(kind, name)
    cells = {cell.folder: cell for cell in plan.cells_of(kind, name)}
    found, stale = [], False
    try:
        done = _cells_done(plan.layout, path, cells) if path.exists() else {}
    except PrunebenchError:
        # which cells it finished is not known: all of them, or the file would not be there
        found, done = [path], dict.fromkeys(cells)
    for folder, cell in cells.items():
        file = folder / LEFT_IN_CELLS[kind]
        if folder not in done and not file.exists():
            continue
        record = cell.record()
        if file.name == RECORD and record is not None:
            absent = removal(folder, record)["removed"]
            found += Manifest.of_cell(folder).damaged(thorough, absent)
            stale |= done.get(folder) not in (None, record.get("identity"))
        elif file.name == RECORD:
            found.append(file)
        # of a damaged record its own job is told
        elif record is not None and record.get("status") not in (FAILED, DIVERGED):
            found += [file] if _sealed(file) is None else []
    return found, stale


def _cells_done(layout: Layout, path: Path, cells: Collection[Path]) -> Done:
    """Return the cells that a job's file says to be done.

    Raises:
        PrunebenchError: the file is damaged.
    """
    said = read_sealed(path).get("cells")
    if isinstance(said, int):  # it looked at so many
        return dict.fromkeys(cells) if said == len(cells) else {}
    if not isinstance(said, list):
        raise PrunebenchError(f"{path} is damaged: it lists no cells")
    try:
        return {
            layout.cell(*(row[name] for name in Coordinates._fields)): row["identity"]
            for row in said
        }
    except (KeyError, TypeError, ValueError) as error:
        raise PrunebenchError(f"{path} is damaged: it lists no cells") from error


def _measures(plan: Plan, again: set[str], mend: bool) -> Iterator[Path]:
    """Yield damaged measures; remove these, and those of jobs that wait for a job in ``again``.

    Snakemake would not ask for the file of a job as long as what is made of it is there.
    """
    for name in plan.measure_jobs:
        path = plan.layout.measured(name)
        fault = path.exists() and _sealed(path) is None
        if fault:
            yield path
        if mend and (fault or plan.waits_for("measures", name) & again):
            remove_file(path)


def _sealed(path: Path) -> dict[str, Any] | None:
    """Return the content of a sealed file; None where it is missing or damaged."""
    try:
        return read_sealed(path)
    except PrunebenchError:
        return None
