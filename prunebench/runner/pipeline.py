"""Steps of an experiment: data, baselines, curves, probes, times, measures.

Every step takes a plan and the name of a job. All may be called again at any time: a finished
cell is found by its identity and left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import Passing, PrunebenchError, text_of
from prunebench.experiment import before_work, foreign_code, prepared_data, registry
from prunebench.experiment.cell import Cell
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.plan import Plan, plan_of
from prunebench.experiment.prepared_data import prepared, prepared_manifest
from prunebench.runner import progress as counting
from prunebench.runner.collect import collect
from prunebench.runner.own_process import Unfinished, apart, stays_here
from prunebench.runner.progress import JobsInTurn, Progress, at_work
from prunebench.runner.progress.failures import SHOWN, named, out_of_memory, print_traceback
from prunebench.runner.progress.whole import FIRST, FOLLOWING, step_name
from prunebench.storage.files import remove_file, write_sealed
from prunebench.storage.layout import CHANNELS, DATA, REMOVED
from prunebench.storage.lock import waited_for
from prunebench.storage.records import FAILED

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task
    from prunebench.runner.job_context import JobContext
    from prunebench.tasks.task_data import TaskData

Say = Callable[[Cell, str], None]  # a cell that is stored, and its status


def download(plan: Plan, name: str, data: Path = DATA) -> None:
    """Fetch the official files of a task, where its source has any to fetch.

    Args:
        plan: the experiment.
        name: the task.
        data: the folder of all data; its files go to ``raw/<source>/``.
    """
    from prunebench.tasks.sources import downloader

    task = plan.task(name)
    fetch = downloader(task.source)
    if fetch is not None and task.path is None:
        fetch(task, data / "raw" / task.source)


def prepare(plan: Plan, name: str, data: Path = DATA) -> None:
    """Turn a task's source into one verified file of tensors, in ``data/prepared/``.

    What is prepared already, whole and of the source as it is now, is left alone: another
    experiment may read it.

    Args:
        plan: the experiment.
        name: the task.
        data: the folder of all data.
    """
    from prunebench.tasks.prepare import prepare, sidecar

    task = plan.task(name)
    if prepared_data.usable(task, data):
        return
    path, source = prepared(task, data), prepared_data.LocalSource.of(task, data)
    manifest = prepared_manifest(path)
    # else the note of one command may stand beside the data of another, of another source
    with waited_for(path.with_name(f"{path.name}.lock")):
        if prepared_data.usable(task, data):  # another command has done it
            return
        manifest.remove()
        if source:
            remove_file(source.note)
        # before it is read: what is changed meanwhile counts as changed
        seen = source.look() if source else {}
        prepare(task, data / "raw" / task.source, path)
        manifest.write([path, sidecar(path)])
        if source:
            write_sealed(source.note, seen)


def prepare_missing(plan: Plan, data: Path = DATA) -> None:
    """Fetch and prepare the data of an experiment's tasks that are not prepared yet.

    Args:
        plan: the experiment.
        data: the folder of all data.
    """
    for task in plan.experiment.tasks:
        if not prepared_data.usable(task, data):
            print(f"preparing the data of {task.name}", file=sys.stderr, flush=True)
            download(plan, task.name, data)
            prepare(plan, task.name, data)


def check(plan: Plan, data: Path = DATA) -> list[dict[str, Any]]:
    """Build every model for every task, before anything is trained.

    Returns:
        For each its weights, its MACs, and which layers are not pruned.

    Raises:
        PrunebenchError: a data set is unknown or not prepared; a model is unknown, does not take
            the task's inputs, or has nothing to prune; or a pattern of ``prunable`` names a layer
            of none of them.
    """
    from prunebench.runner.kept_state import kept_state
    from prunebench.runner.preflight import describe
    from prunebench.tasks import sources
    from prunebench.tasks.task_data import load

    for task in plan.experiment.tasks:
        sources.check(task)
    found = []
    widths = sorted({regime.width for regime in plan.experiment.regimes})
    for task in plan.experiment.tasks:
        about = load(prepared(task, data))
        _refuse_augmentation(plan, task, about)
        for model, width in product(plan.experiment.models, widths):
            with kept_state(f"{model.name}'s code"):
                described = describe(
                    model,
                    plan.experiment.prunable,
                    task=task.name,
                    facts=about.facts,
                    example=about.example,
                    unfit=partial(about.kind.unfit, targets=about.targets),
                    item=about.form.item,
                    width=width,
                )
            found.append(described)
    _refuse_unfitting([item["unfitting"] for item in found])
    return found


def _refuse_augmentation(plan: Plan, task: Task, about: TaskData) -> None:
    """Refuse regimes that would crop and flip what is no image, or moves its targets with it."""
    kind = registry.find(TaskKindTraits, task.kind).traits
    for regime in plan.experiment.regimes:
        if regime.augmentation and not (about.form.augments and kind.augments):
            raise PrunebenchError(
                f"regimes: {regime.name}: augmentation crops and flips images of one class each;"
                f" task {task.name} is {task.kind} of {about.form.item}s"
            )


def _refuse_unfitting(faults: Sequence[Mapping[str, str]]) -> None:
    """Refuse a pattern that names nothing in any model: others may have the layers it names."""
    for pattern, fault in faults[0].items():
        if all(pattern in others for others in faults):
            raise PrunebenchError(fault)


def _context(plan: Plan, job: Any, data: Path) -> JobContext:
    # torch takes seconds to import: only a job that computes pays for it
    from prunebench.runner.job_context import JobContext

    return JobContext(plan, job.task, prepared(job.task, data))


@at_work("baselines")
def baselines(plan: Plan, name: str, data: Path = DATA) -> list[dict[str, Any]]:
    """Train the baselines of a job that are missing.

    Every model of the grid is checked first: what cannot be built must not be found out after the
    others have trained.

    Returns:
        The records of all.

    Raises:
        PrunebenchError: a model cannot be built; or, after the others are done, a baseline
            learned nothing.
    """
    from prunebench.runner.baselines import compute_baseline
    from prunebench.runner.kept_state import kept_state

    check(plan, data)
    job, progress = _context(plan, plan.find("baselines", name), data), Progress(plan)
    records, faults = [], []
    for cell in plan.cells_of("baselines", name):
        try:
            with kept_state(f"{cell.baseline.model.name}'s code"):
                record = compute_baseline(job, cell)
        except PrunebenchError as error:
            faults.append(str(error))
            continue
        except Exception as error:  # the others need not suffer
            print_traceback(error)
            faults.append(named(cell, error))
            continue
        progress.cell(cell, record["status"])
        records.append(record)
    if faults:
        raise PrunebenchError("; ".join(faults))
    return records


@at_work("curves")
def curves(plan: Plan, name: str, data: Path = DATA) -> list[dict[str, Any]]:
    """Compute the cells of a job's curves that are missing.

    A method that fails is a record that says so: it must not stop the others.

    Returns:
        The records of all.

    Raises:
        PrunebenchError: after the others are done, where the machine failed (memory, disk): that
            is no result, and the next call tries again.
    """
    from prunebench.runner.kept_state import kept_state

    job = plan.find("curves", name)
    context, progress = _context(plan, job, data), Progress(plan)
    records: list[dict[str, Any]] = []
    faults = []
    for baseline in job.baselines:
        cells = plan.curve(baseline, job.method)
        try:
            with kept_state(f"{job.method.name}'s code"):
                records += _curve(context, cells, progress.cell)
        except Passing as error:
            faults.append(named(cells[0], error))
    if faults:
        raise PrunebenchError("; ".join(faults))
    return records


def _curve(job: JobContext, cells: Sequence[Cell], say: Say) -> list[dict[str, Any]]:
    from prunebench.runner.curves import compute_curve, store_failure

    there = _without_removed_files(job, cells)
    if len(there) == len(cells):
        return there
    try:
        compute_curve(job, cells, say)
        why = "was not reached: an earlier round diverged"
    except Passing:
        raise
    except PrunebenchError as error:
        why = text_of(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a bug in one method is that method's result, also sys.exit
        if out_of_memory(error):
            raise Passing(f"out of memory: {text_of(error)}") from error
        print_traceback(error)
        why = f"{type(error).__name__}: {text_of(error)}"
    records = []
    for cell in cells:
        record = job.finished(cell)
        if record is None:
            record = store_failure(job, cell, why)
            say(cell, f"{FAILED}: {record['message']}")
        records.append(record)
    return records


def _without_removed_files(job: JobContext, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Records of a curve that is finished although files of it were removed on purpose.

    Also where by now the configuration keeps these files: what was measured of them is still there.
    """
    if not any((cell.folder / REMOVED).exists() for cell in cells):
        return []  # reading all files to hash them costs time
    found = (job.finished(cell, allow_removed=True) for cell in cells)
    return [record for record in found if record is not None]


def probes(plan: Plan, name: str, data: Path = DATA) -> int:
    """Probe all cells of a job that are not probed yet; return how many cells it has."""
    from prunebench.runner.probes import compute_probes

    return _each_cell(plan, "probes", name, data, compute_probes)


def latencies(plan: Plan, name: str, data: Path = DATA) -> int:
    """Measure how long the networks of a job's cells take; return how many cells it has.

    To be called with nothing else on the machine.
    """
    from prunebench.runner.latency import compute_latency

    return _each_cell(plan, "latencies", name, data, compute_latency)


@at_work()
def _each_cell(
    plan: Plan, kind: str, name: str, data: Path, compute: Callable[[JobContext, Cell], None]
) -> int:
    from prunebench.runner.kept_state import kept_state

    job = _context(plan, plan.find(kind, name), data)
    cells = list(plan.cells_of(kind, name))
    for cell in cells:
        with kept_state(f"code of {kind}"):
            compute(job, cell)
    return len(cells)


@at_work()
def channels(plan: Plan, name: str, data: Path = DATA) -> Path:
    """Measure which multiple of channels a task's networks are fastest with; return the file.

    To be called with nothing else on the machine.
    """
    from prunebench.runner.channels import compute_channels
    from prunebench.runner.job_context import JobContext

    task = plan.task(name)
    return compute_channels(JobContext(plan, task, prepared(task, data)), name)


def measure(plan: Plan, name: str, output: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Measure a job's cells from what is stored of them.

    Args:
        plan: the experiment.
        name: the job.
        output: where the rows are written; what the configuration does not keep of these cells
            (``compute.keep``) is then removed.

    Returns:
        The rows of each table: ``cells``, ``latency``, ``layers`` and ``sensitivity``.

    Raises:
        PrunebenchError: a cell is not the one that the plan asks for.
    """
    from prunebench.evaluation import long_tables
    from prunebench.evaluation.rows import rows
    from prunebench.runner.retention import discard_files

    found = {
        "cells": rows(plan, name),
        **long_tables.of_job(plan, name),
    }
    _refuse_others(plan, name, found["cells"])
    if output is not None:
        write_sealed(output, found)
        discard_files(plan, name, found["cells"])
    return found


def _refuse_others(plan: Plan, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rows of cells that another command put where the plan's were.

    One on another machine may go on after the command that started it was killed, and know settings
    and code as they were then.
    """
    for cell, row in zip(plan.cells_of("measures", name), rows, strict=True):
        if row["identity"] != cell.identity(row["data_hash"], row["weights_hash"]):
            raise PrunebenchError(
                f"{cell.folder} is of other settings or code than this experiment's, as if another"
                " command had written there meanwhile, or code had changed: run the same command"
                " again, which computes it"
            )


def run(plan: Plan, data: Path = DATA, steps: Sequence[str] = ("collect",)) -> Path:
    """Compute the whole grid in this process, without Snakemake: the same records.

    Args:
        plan: the experiment.
        data: the folder of all data.
        steps: which of STEPS will follow, the table of cells among them: they are counted, too.

    Returns:
        The path of ``cells.csv``.

    Raises:
        PrunebenchError: another command is at work on the experiment; or, once all is done that
            does not depend on them, jobs failed.
    """
    from prunebench.storage.lock import locked

    with locked(plan.layout.root):
        return compute(plan, data, steps)


def begin(plan: Plan, data: Path = DATA) -> None:
    """Write the resolved configuration, set damaged files aside, prepare the data.

    And measure, where that is asked for, which multiple of channels is fastest.

    Raises:
        PrunebenchError: no job could do what the configuration asks.
    """
    from prunebench.runner import damaged_files

    before_work.check(plan.experiment)
    plan.write()
    if said := damaged_files.said(damaged_files.damaged(plan, data)):
        print(said, file=sys.stderr)
    for task in plan.experiment.tasks:
        download(plan, task.name, data)
        if foreign_code.of_data(task):
            apart(f"{__name__}:step", str(plan.layout.config), "prepare", task.name, str(data))
        else:
            prepare(plan, task.name, data)
    if plan.experiment.probes.finds_channels:
        for task in plan.experiment.tasks:
            _do(plan, CHANNELS, task.name, data)


def compute(plan: Plan, data: Path, steps: Sequence[str]) -> Path:
    """Do what ``run`` does, for whoever holds the experiment's lock."""
    from prunebench.storage.provenance import now

    started = now()
    begin(plan, data)
    counting.begin(plan, steps, again=True)
    failed: dict[str, str] = {}  # job -> why; "" where it is another's fault
    for kind, jobs in plan.jobs.items():
        turn = JobsInTurn(plan, kind) if kind in FOLLOWING and jobs else None
        if turn:
            turn.begin()
        for name in jobs:
            if not plan.waits_for(kind, name).isdisjoint(failed):
                failed[f"{kind}/{name}"] = ""
                continue
            try:
                _do(plan, kind, name, data)
            except Unfinished as error:
                failed[f"{kind}/{name}"] = f"{kind}/{name}: {error}"
            except PrunebenchError as error:
                failed[f"{kind}/{name}"] = text_of(error)
            else:
                if turn:
                    turn.job(name)
    if failed:
        faults = [fault for fault in dict.fromkeys(failed.values()) if fault]
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise PrunebenchError("; ".join(faults[:SHOWN]) + more)
    table = collect(plan, [plan.layout.measured(name) for name in plan.measure_jobs], started)
    Progress(plan).follows(step_name(FIRST))
    return table


def _do(plan: Plan, kind: str, name: str, data: Path) -> None:
    """Do a job; where it runs somebody's own code, in a process of its own, as the workflow does.

    So that code cannot end the run, nor change what other methods compute. A network that was given
    in Python is in this process alone.
    """
    method = plan.find(kind, name).method if kind == "curves" else None
    if not stays_here() and foreign_code.of_job(plan.experiment, kind, method):
        apart(f"{__name__}:step", str(plan.layout.config), kind, name, str(data))
    else:
        _STEPS[kind](plan, name, data)


def step(config: str, kind: str, name: str, data: str) -> None:
    """Do a step of an experiment, named by the texts that another process can be told.

    Args:
        config: path of the experiment's ``config.json``.
        kind: the kind of job, or ``prepare``.
        name: the job, or the task to prepare.
        data: the folder of all data.
    """
    _STEPS[kind](plan_of(Path(config)), name, Path(data))


# kind of job -> what does one of them
_STEPS: dict[str, Callable[[Plan, str, Path], Any]] = {
    "prepare": prepare,
    CHANNELS: channels,
    "baselines": baselines,
    "curves": curves,
    "probes": probes,
    "latencies": latencies,
    "measures": lambda plan, name, data: measure(plan, name, plan.layout.measured(name)),
}
