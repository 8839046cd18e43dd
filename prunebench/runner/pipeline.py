"""The order of things: data, baselines, curves. The only place that knows it.

Every function takes a plan and the name of a job, does what is missing, and says what it did. All
may be called again at any time: a finished cell is found by its identity and left alone.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import Passing, PrunebenchError, printable
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import DATA, note_prepared, prepared
from prunebench.experiment.settings import Method
from prunebench.runner.collect import collect
from prunebench.runner.progress import Progress, at_work
from prunebench.runner.progress.failures import SHOWN, named, out_of_memory
from prunebench.storage.cell_files import finished
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import REMOVED
from prunebench.storage.records import DENSE, FAILED

if TYPE_CHECKING:
    from prunebench.runner.job_context import Job

Say = Callable[[float, str], None]  # sparsity, status


def download(plan: Plan, name: str, data: Path = DATA) -> None:
    """Fetch the official files of a task, where its source has any to fetch."""
    from prunebench.tasks.sources import downloader

    task = plan.task(name)
    fetch = downloader(task.source)
    if fetch is not None and task.path is None:
        fetch(task, data / "raw" / task.source)


def prepare(plan: Plan, name: str, data: Path = DATA) -> None:
    """Turn a task's source into one verified file of tensors."""
    from prunebench.tasks.prepare import prepare, sidecar

    task = plan.task(name)
    path = prepared(task, data)
    note_prepared(path).remove()
    prepare(task, data / "raw" / task.source, path)
    note_prepared(path).write([path, sidecar(path)])


def check(plan: Plan, data: Path = DATA) -> list[dict[str, Any]]:
    """Build every model for every task and prune it a little, before anything is trained.

    Raises PrunebenchError for an unknown model, one that does not take the task's images, or one
    with nothing to prune. Returns what is known of each: weights, MACs.
    """
    from prunebench.runner.preflight import describe
    from prunebench.tasks.task_data import load

    found = []
    widths = sorted({regime.width for regime in plan.experiment.regimes})
    for task in plan.experiment.tasks:
        about = load(prepared(task, data))
        for model, width in product(plan.experiment.models, widths):
            found.append(
                describe(
                    model,
                    plan.experiment.prunable,
                    task=task.name,
                    classes=about.classes,
                    shape=about.shape,
                    width=width,
                )
            )
    return found


@at_work("baselines")
def baselines(plan: Plan, name: str, data: Path = DATA) -> list[dict[str, Any]]:
    """Train the baselines of a job that are missing; return the records of all.

    Every model of the grid is checked first: what cannot be built must not be found out after the
    others have trained. Raises PrunebenchError where one cannot, and, after the others are done,
    where a baseline learned nothing.
    """
    from prunebench.runner.baselines import compute_baseline
    from prunebench.runner.job_context import Job

    job = plan.find("baselines", name)
    check(plan, data)
    work, progress = Job(plan, job.task, prepared(job.task, data)), Progress(plan)
    records, faults = [], []
    for baseline in job.baselines:
        try:
            record = compute_baseline(work, baseline)
        except PrunebenchError as error:
            faults.append(str(error))
            continue
        except Exception as error:  # the others need not suffer
            traceback.print_exc(file=sys.stderr)
            faults.append(named(baseline, DENSE, error))
            continue
        progress.cell(baseline, DENSE, 0.0, record["status"])
        records.append(record)
    if faults:
        raise PrunebenchError("; ".join(faults))
    return records


@at_work("curves")
def curves(plan: Plan, name: str, data: Path = DATA) -> list[dict[str, Any]]:
    """Compute the cells of a job's curves that are missing; return the records of all.

    A method that fails is a record that says so: it must not stop the others. Raises
    PrunebenchError, after the others are done, where the machine failed (memory, disk): that is no
    result, and the next call tries again.
    """
    from prunebench.runner.job_context import Job

    job = plan.find("curves", name)
    work, progress = Job(plan, job.task, prepared(job.task, data)), Progress(plan)
    records: list[dict[str, Any]] = []
    faults = []
    for baseline in job.baselines:

        def say(sparsity: float, status: str, baseline: Baseline = baseline) -> None:
            progress.cell(baseline, job.method.name, sparsity, status)

        try:
            records += _curve(work, baseline, job.method, say)
        except Passing as error:
            faults.append(named(baseline, job.method.name, error))
    if faults:
        raise PrunebenchError("; ".join(faults))
    return records


def _curve(work: Job, baseline: Baseline, method: Method, say: Say) -> list[dict[str, Any]]:
    from prunebench.runner.curves import compute_curve, store_failure

    sparsities = work.plan.sparsities(method)
    there = _freed(work, baseline, method)
    if len(there) == len(sparsities):
        return there
    try:
        compute_curve(work, baseline, method, say)
        why = "was not reached: an earlier round diverged"
    except Passing:
        raise
    except PrunebenchError as error:
        why = str(error)
    except Exception as error:  # a bug in one method is that method's result
        if out_of_memory(error):
            raise Passing("out of memory: " + " ".join(str(error).split())) from error
        traceback.print_exc(file=sys.stderr)
        why = printable(f"{type(error).__name__}: {' '.join(str(error).split())}")
    records = []
    for sparsity in sparsities:
        record = work.finished(baseline, method, sparsity)
        if record is None:
            record = store_failure(work, baseline, method, sparsity, why)
            say(sparsity, f"{FAILED}: {record['message']}")
        records.append(record)
    return records


def _freed(work: Job, baseline: Baseline, method: Method) -> list[dict[str, Any]]:
    """Records of a curve that are finished although files of theirs were removed on purpose.

    Also where by now the configuration keeps these files: what was measured of them is still there.
    """
    places = [
        (
            work.folder(baseline, method.name, sparsity),
            work.cell_identity(baseline, method, sparsity),
        )
        for sparsity in work.plan.sparsities(method)
    ]
    if not any((folder / REMOVED).exists() for folder, _ in places):
        return []  # reading all files to hash them costs time
    found = (finished(*place, freed=True) for place in places)
    return [record for record in found if record is not None]


def probes(plan: Plan, name: str, data: Path = DATA) -> int:
    """Probe all cells of a job that are not probed yet; return how many cells it has."""
    from prunebench.runner.probes import compute_probes

    return _look(plan, "probes", name, data, compute_probes)


def latencies(plan: Plan, name: str, data: Path = DATA) -> int:
    """Measure how long the networks of a job's cells take; return how many cells it has.

    To be called with nothing else on the machine.
    """
    from prunebench.runner.latency import compute_latency

    return _look(plan, "latencies", name, data, compute_latency)


@at_work()
def _look(
    plan: Plan,
    kind: str,
    name: str,
    data: Path,
    compute: Callable[[Job, Baseline, str, float], None],
) -> int:
    from prunebench.runner.job_context import Job

    job = plan.find(kind, name)
    work = Job(plan, job.task, prepared(job.task, data))
    done = 0
    for baseline in job.baselines:
        for method, sparsity in plan.cells_of_baseline():
            compute(work, baseline, method, sparsity)
            done += 1
    return done


def measure(plan: Plan, name: str, output: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Rows of a job's cells for each table: ``cells``, ``latency`` and ``layers``.

    Once they are written to ``output``, what the configuration does not keep of these cells
    (``compute.keep``) is removed.
    """
    from prunebench.evaluation import long_tables
    from prunebench.evaluation.rows import rows
    from prunebench.runner.retention import free

    found = {
        "cells": rows(plan, name),
        "latency": long_tables.latencies(plan, name),
        "layers": long_tables.layers(plan, name),
    }
    if output is not None:
        write_sealed(output, found)
        free(plan, name, found["cells"])
    return found


def run(plan: Plan, data: Path = DATA) -> Path:
    """The whole grid in this process, without Snakemake: the same records. Returns cells.csv.

    Raises PrunebenchError where another command is at work on the experiment, and, once all is done
    that does not depend on them, where jobs failed.
    """
    from prunebench.storage.lock import locked

    with locked(plan.layout.root):
        return _run(plan, data)


def _run(plan: Plan, data: Path) -> Path:
    from prunebench.runner import audit
    from prunebench.storage.provenance import now

    started = now()
    plan.write()
    if said := audit.said(audit.damaged(plan, data)):
        print(said, file=sys.stderr)
    for task in plan.experiment.tasks:
        download(plan, task.name, data)
        prepare(plan, task.name, data)
    failed: dict[str, str] = {}  # job -> why; "" where it is another's fault
    for kind, names, work in (
        ("baselines", plan.baseline_jobs, partial(baselines, plan, data=data)),
        ("curves", plan.curve_jobs, partial(curves, plan, data=data)),
        ("probes", plan.probe_jobs, partial(probes, plan, data=data)),
        ("latencies", plan.latency_jobs, partial(latencies, plan, data=data)),
        (
            "measures",
            plan.measure_jobs,
            lambda name: measure(plan, name, plan.layout.measured(name)),
        ),
    ):
        for name in names:
            try:
                if plan.waits_for(kind, name).isdisjoint(failed):
                    work(name)
                else:
                    failed[f"{kind}/{name}"] = ""
            except PrunebenchError as error:
                failed[f"{kind}/{name}"] = str(error)
    if failed:
        faults = list(filter(None, failed.values()))
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise PrunebenchError("; ".join(faults[:SHOWN]) + more)
    return collect(plan, [plan.layout.measured(name) for name in plan.measure_jobs], started)
