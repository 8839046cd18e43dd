"""Which jobs are at work: each holds a lock on a file of its own, which ends with its process.

A process id would be wrong once it is given to another process, and on another machine; the time of
a log says nothing of a long epoch. A lock of the operating system cannot outlive who holds it.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

from prunebench.experiment.plan import Plan
from prunebench.storage.layout import Layout

Work = TypeVar("Work", bound=Callable[..., Any])


@dataclass(frozen=True)
class Running:
    """A job that began and did not end: at work, or ``alive`` False: it was killed."""

    kind: str
    job: str
    process: int
    started: float  # seconds since 1970
    alive: bool


def _folder(layout: Layout) -> Path:
    return layout.root / "jobs" / "running"


def _hold(path: Path) -> TextIOWrapper | None:
    """Write and lock a job's file; None where that is not possible, which must stop nobody."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError:
        return None
    try:
        # shared: of two that compute the same job neither waits for the other
        fcntl.flock(file, fcntl.LOCK_SH)
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "started": time.time()}))
        file.flush()
    except OSError:  # a file system without locks, or a full one
        path.unlink(missing_ok=True)
        file.close()
        return None
    return file


@contextmanager
def holding(layout: Layout, kind: str, name: str) -> Iterator[None]:
    """Show a job as running while the block is."""
    path = _folder(layout) / kind / f"{name}.json"
    file = _hold(path)
    try:
        yield
    finally:
        if file is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            file.close()


def at_work(kind: str = "") -> Callable[[Work], Work]:
    """Decorate a function of a plan and a job's name so that the job is shown as running.

    Without ``kind`` it is what the function is given between the two.
    """

    def decorate(work: Work) -> Work:
        @functools.wraps(work)
        def held(plan: Plan, *rest: Any, **more: Any) -> Any:
            own, name = (kind, rest[0]) if kind else rest[:2]
            with holding(plan.layout, own, name):
                return work(plan, *rest, **more)

        return held  # type: ignore[return-value]

    return decorate


def running(layout: Layout) -> list[Running]:
    """Jobs that began and did not end, the longest at work first."""
    found = []
    for path in sorted(_folder(layout).glob("*/*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError), path.open("r+") as file:
            alive = _is_held(file)
            said = json.load(file)
            kind, job = path.parent.name, path.stem
            found.append(Running(kind, job, int(said["process"]), float(said["started"]), alive))
    return sorted(found, key=lambda each: each.started)


def _is_held(file: TextIOWrapper) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
