"""Status of a grid: what is done, running, failed, under-trained and missing, and the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from prunebench.errors import PrunebenchError, printable
from prunebench.experiment.plan import Plan
from prunebench.experiment.training_gate import MEMORIZED_AT, memorizes, under_trained
from prunebench.runner.progress.failures import SHOWN, failed_cells, last_words
from prunebench.runner.progress.reporter import duration, later
from prunebench.runner.progress.running_jobs import Running, running
from prunebench.runner.progress.time_left import Effort, Rates, efforts
from prunebench.runner.progress.whole import noted
from prunebench.storage.records import DENSE, FAILED, OK
from prunebench.storage.sealed_content import read_measured
from prunebench.text.progress_bars import watched

Records = Mapping[Effort, Mapping[str, Any] | None]  # every cell's; None: missing or damaged


@dataclass(frozen=True)
class Failure:
    """Cells of one curve that failed alike, or the missing cells of a job that ended early."""

    where: str
    cells: int
    message: str
    log: str  # "" where the workflow did not run the job

    def __str__(self) -> str:
        many = f" ({self.cells} cells)" if self.cells > 1 else ""
        return f"{self.where}{many}: {self.message}{f'; log: {self.log}' if self.log else ''}"


@dataclass(frozen=True)
class OpenJob:
    """A job that began and did not end."""

    name: str
    alive: bool  # at work; else it was killed
    process: int
    seconds: float  # since it began
    done: int
    cells: int
    cell: str  # the next of its cells, which it is at

    def __str__(self) -> str:
        at = f", at {self.cell}" if self.cell else ""
        return (
            f"{self.name} (process {self.process}, since {duration(self.seconds)}):"
            f" {self.done} of {self.cells} cells{at}"
        )


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
    jobs: list[OpenJob] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds_left: float | None = None  # of training, one cell after the other; None: not known

    @property
    def at_once(self) -> int:
        """How many jobs are at work."""
        return sum(job.alive for job in self.jobs)

    def as_json(self) -> dict[str, Any]:
        """Return the state for programs.

        ``wall_seconds_left`` is the time left as fast as now, None while nothing is at work.
        """
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
        blocks: tuple[tuple[str, Sequence[object]], ...] = (
            ("running", [job for job in self.jobs if job.alive]),
            ("killed; the same command goes on", [job for job in self.jobs if not job.alive]),
            ("failed; the same command tries again", self.failures),
            (f"under-trained, training error above {MEMORIZED_AT:.0%}", self.under_trained),
        )
        for title, about in blocks:
            lines += [f"{title}:"] if about else []
            lines += [f"  {each}" for each in about[:SHOWN]]
            lines += [f"  and {len(about) - SHOWN} more"] if len(about) > SHOWN else []
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
        return [f"{text}; then {later(self.total)}"]


def counts(plan: Plan) -> dict[str, int]:
    """Return how many cells of the grid are there and how many are missing."""
    cells, known = list(efforts(plan)), noted(plan.layout)
    there = sum(known.stands(effort.cell) for effort in cells)
    return {"done": there, "total": len(cells), "missing": len(cells) - there}


def state(plan: Plan) -> State:
    """Read every record of a grid and say how far it is. A damaged record counts as missing."""
    cells = watched(efforts(plan), "reading records")
    own = noted(plan.layout)
    records = {each: each.cell.record() if own.stands(each.cell) else None for each in cells}
    rates, statuses = Rates(), Counter[str]()
    for effort, record in records.items():
        if record:
            rates.add(effort, record)
            statuses[str(record.get("status"))] += 1
    there = sum(statuses.values())
    open_ = [e for e, record in records.items() if not record or record.get("status") == FAILED]
    known = [
        seconds
        for effort in open_
        if (seconds := rates.seconds(effort.like, effort.amount)) is not None
    ]
    return State(
        experiment=plan.experiment.experiment,
        total=len(records),
        done=there - statuses[FAILED],
        failed=statuses[FAILED],
        missing=len(records) - there,
        statuses={name: n for name, n in sorted(statuses.items(), key=_ok_first) if n},
        under_trained=_under_trained(plan),
        jobs=[_open_job(each, records) for each in running(plan.layout)],
        failures=_failures(plan, records),
        seconds_left=sum(known) if known or not open_ else None,
    )


def _ok_first(item: tuple[str, int]) -> tuple[bool, str]:
    return item[0] != OK, item[0]


def _open_job(each: Running, records: Records) -> OpenJob:
    name = f"{each.kind}/{each.job}"
    own = [effort for effort in records if effort.job == name]
    left = [effort for effort in own if records[effort] is None]
    return OpenJob(
        name=name, alive=each.alive, process=each.process, seconds=time.time() - each.started,
        done=len(own) - len(left), cells=len(own), cell=left[0].key.label if left else "",
    )  # fmt: skip


def _failures(plan: Plan, records: Records) -> list[Failure]:
    """Return the cells that failed, and the jobs that left cells out with an error and ended."""
    found = [
        Failure(each.first.coordinates.curve_label, each.count, printable(each.message), each.log)
        for each in failed_cells(plan, records.items())
    ]
    missing = Counter(effort.job for effort, record in records.items() if record is None)
    alive = {f"{each.kind}/{each.job}" for each in running(plan.layout)}
    for job in sorted(missing.keys() - alive):
        log = plan.layout.log(job)
        said = last_words(log) if log.is_file() else ""
        if "rror" in said.partition(":")[0]:  # error: …, or a traceback's last line
            found.append(Failure(job, missing[job], printable(said), str(log)))
    return found


def _under_trained(plan: Plan) -> list[str]:
    """Return the baselines that did not learn their labels, as far as they are measured."""
    found = []
    for name in plan.measure_jobs:
        try:
            rows = read_measured(plan.layout.measured(name))["cells"]
        except (PrunebenchError, KeyError):
            continue
        for row in rows:
            error, noisy = row.get("train_error"), row.get("memorized") is not None
            augmented = row.get("augmentation") is not False
            late = under_trained(
                error, noisy=noisy, augmented=augmented, memorizes=memorizes(row.get("kind"))
            )
            if late and row.get("method") == DENSE:
                found.append(
                    f"{row['task']} {row['regime']} {row['model']} seed {row['seed']}:"
                    f" training error {error:.1%}"
                )
    return found
