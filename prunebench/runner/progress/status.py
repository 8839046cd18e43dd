"""``status``: what is done, running, failed, under-trained and missing, and the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, printable
from prunebench.experiment.plan import Plan
from prunebench.runner.progress.reporter import duration
from prunebench.runner.progress.running_jobs import Running, running
from prunebench.runner.progress.time_left import Effort, Rates, efforts
from prunebench.storage.files import read_sealed
from prunebench.storage.records import DENSE, FAILED, MEMORIZED_AT, OK
from prunebench.text.progress_bars import watched

_SHOWN = 12  # failed cells, and jobs, that people are shown


@dataclass(frozen=True)
class Failure:
    """Cells of one curve that failed alike."""

    where: str
    cells: int
    message: str
    log: str  # "" where the job was not run by the workflow


@dataclass(frozen=True)
class Job:
    """A job that began and did not end."""

    name: str
    alive: bool
    process: int
    seconds: float  # since it began
    done: int
    cells: int
    cell: str  # the next of its cells, which it is at


@dataclass(frozen=True)
class State:
    """How far an experiment is. ``done``, ``failed`` and ``missing`` cells are ``total``."""

    experiment: str
    total: int
    done: int
    failed: int
    missing: int
    statuses: dict[str, int]  # of the records that are there
    under_trained: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds_left: float | None = None  # of training, one cell after the other; None: not known

    @property
    def at_once(self) -> int:
        """Jobs that are at work."""
        return sum(job.alive for job in self.jobs)

    def as_json(self) -> dict[str, Any]:
        """For programs; ``wall_seconds_left`` as fast as now, None while nothing is at work."""
        wall = None
        if self.seconds_left is not None and self.at_once:
            wall = self.seconds_left / self.at_once
        return {**asdict(self), "running": self.at_once, "wall_seconds_left": wall}

    def __str__(self) -> str:
        said = ", ".join(f"{n} {name}" for name, n in self.statuses.items() if name != FAILED)
        lines = [
            f"{self.experiment}: {self.done} of {self.total} cells done"
            f"{f' ({said})' if said else ''}, {self.failed} failed, {self.missing} missing"
        ]
        late = f"under-trained, training error above {MEMORIZED_AT:.0%}"
        for title, about in (
            ("running", [_job(job) for job in self.jobs if job.alive]),
            ("killed; the same command goes on", [_job(j) for j in self.jobs if not j.alive]),
            ("failed; the same command tries again", [_failure(f) for f in self.failures]),
            (late, self.under_trained),
        ):
            lines += _block(title, about)
        return "\n".join([*lines, *self._left()])

    def _left(self) -> list[str]:
        if not self.missing + self.failed:
            return []
        if self.seconds_left is None:
            return ["time left: not known before a cell is done"]
        text = f"time left: about {duration(self.seconds_left)} of training"
        if self.at_once > 1:
            wall = duration(self.seconds_left / self.at_once)
            text += f", {wall} with {self.at_once} jobs at once"
        return [text]


def _block(title: str, lines: Sequence[str]) -> list[str]:
    more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [f"{title}:", *(f"  {line}" for line in lines[:_SHOWN]), *more] if lines else []


def _job(job: Job) -> str:
    at = f", at {job.cell}" if job.cell else ""
    return (
        f"{job.name} (process {job.process}, since {duration(job.seconds)}):"
        f" {job.done} of {job.cells} cells{at}"
    )


def _failure(failure: Failure) -> str:
    many = f" ({failure.cells} cells)" if failure.cells > 1 else ""
    log = f"; log: {failure.log}" if failure.log else ""
    return f"{failure.where}{many}: {failure.message}{log}"


def name_of(effort: Effort) -> str:
    """A cell as people read it."""
    task, regime, model, seed, method, sparsity = effort.key
    at = f" {100 * sparsity:.4g} %" if sparsity else ""
    return f"{task} {regime} {model} seed {seed} {method}{at}"


def counts(plan: Plan) -> dict[str, int]:
    """How many cells of the grid are there and how many are missing."""
    cells = list(efforts(plan))
    there = sum(effort.done for effort in cells)
    return {"done": there, "total": len(cells), "missing": len(cells) - there}


def state(plan: Plan) -> State:
    """Read every record of a grid. A record that is damaged counts as missing."""
    cells = list(efforts(plan))
    found = {effort.key: effort.record() for effort in watched(cells, "reading records")}
    rates, statuses = Rates(), Counter[str]()
    for effort in cells:
        if record := found[effort.key]:
            rates.add(effort, record)
            statuses[str(record.get("status"))] += 1
    there = sum(statuses.values())
    open_ = [e for e in cells if (r := found[e.key]) is None or r.get("status") == FAILED]
    times = [rates.seconds(effort) for effort in open_]
    known = [seconds for seconds in times if seconds is not None]
    return State(
        experiment=plan.experiment.experiment,
        total=len(cells),
        done=there - statuses[FAILED],
        failed=statuses[FAILED],
        missing=len(cells) - there,
        statuses={name: n for name, n in sorted(statuses.items(), key=_ok_first) if n},
        under_trained=_under_trained(plan),
        jobs=[_at_work(each, cells, found) for each in running(plan.layout)],
        failures=[*_failed_cells(plan, cells, found), *_failed_jobs(plan, cells, found)],
        seconds_left=sum(known) if known or not open_ else None,
    )


def _ok_first(item: tuple[str, int]) -> tuple[bool, str]:
    return item[0] != OK, item[0]


def _at_work(each: Running, cells: Sequence[Effort], found: dict[Any, Any]) -> Job:
    name = f"{each.kind}/{each.job}"
    own = [effort for effort in cells if effort.job == name]
    left = [effort for effort in own if found[effort.key] is None]
    return Job(
        name=name, alive=each.alive, process=each.process, seconds=time.time() - each.started,
        done=len(own) - len(left), cells=len(own), cell=name_of(left[0]) if left else "",
    )  # fmt: skip


def _log(plan: Plan, job: str) -> Path:
    return plan.layout.root / "logs" / f"{job}.log"


def _failed_cells(plan: Plan, cells: Sequence[Effort], found: dict[Any, Any]) -> list[Failure]:
    alike: Counter[tuple[str, str, str]] = Counter()
    for effort in cells:
        record = found[effort.key]
        if record is not None and record.get("status") == FAILED:
            task, regime, model, seed, method, _ = effort.key
            where = f"{task} {regime} {model} seed {seed} {method}"
            log = _log(plan, effort.job)
            alike[where, str(record.get("message")), str(log) if log.exists() else ""] += 1
    return [
        Failure(where, count, printable(why), log) for (where, why, log), count in alike.items()
    ]


def _failed_jobs(plan: Plan, cells: Sequence[Effort], found: dict[Any, Any]) -> list[Failure]:
    """Jobs that left cells out and are not at work, whose log ends with an error."""
    missing = Counter(effort.job for effort in cells if found[effort.key] is None)
    alive = {f"{each.kind}/{each.job}" for each in running(plan.layout)}
    failures = []
    for job in missing.keys() - alive:
        log = _log(plan, job)
        if not log.is_file():
            continue
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "")
        if "rror" in last.partition(":")[0]:  # error: …, or a traceback's last line
            failures.append(Failure(job, missing[job], printable(last.strip()), str(log)))
    return sorted(failures, key=lambda failure: failure.where)


def _under_trained(plan: Plan) -> list[str]:
    """Baselines in noise that did not memorize their labels, as far as they are measured."""
    found = []
    for name in plan.measure_jobs:
        try:
            rows = read_sealed(plan.layout.measured(name))["cells"]
        except (PrunebenchError, KeyError):
            continue
        for row in rows:
            if row.get("method") != DENSE:
                continue
            late = (row.get("train_error") or 0.0) > MEMORIZED_AT
            if late and row.get("memorized") is not None:
                found.append(
                    f"{row['task']} {row['regime']} {row['model']} seed {row['seed']}:"
                    f" training error {row['train_error']:.1%}"
                )
    return found
