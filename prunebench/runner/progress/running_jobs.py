"""Which jobs are at work: each holds a lock on a file of its own, which ends with its process.

A process id would be wrong once it is given to another process, and on another machine; the time of
a log says nothing of a long epoch. A lock of the operating system cannot outlive who holds it.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from prunebench.errors import PrunebenchError
from prunebench.experiment.plan import Plan
from prunebench.storage.files import require_plain
from prunebench.storage.layout import Layout
from prunebench.storage.lock import process_lock, write_held

Work = TypeVar("Work", bound=Callable[..., Any])
_PATIENCE = 0.2  # seconds to wait for a lock that ``running`` holds for a moment


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


@contextmanager
def holding(layout: Layout, kind: str, name: str) -> Iterator[None]:
    """Show a job as running while the block is; where that is not possible, it stops nobody."""
    path = _folder(layout) / kind / f"{name}.json"
    lock = process_lock(path, timeout=_PATIENCE, blocking=True)
    with suppress(OSError):  # another process computes the same job and is shown; or no locks
        lock.acquire()
        write_held(path, json.dumps({"process": os.getpid(), "started": time.time()}))
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()


def at_work(kind: str = "") -> Callable[[Work], Work]:
    """Decorate a function of a plan and a job's name so that the job is shown as running.

    Without ``kind`` it is what the function is given between the two.
    """

    def decorate(work: Work) -> Work:
        @functools.wraps(work)
        def held(plan: Plan, *rest: Any, **more: Any) -> Any:
            own, name = (kind, rest[0]) if kind else rest[:2]
            with holding(plan.layout, own, name):
                try:
                    return work(plan, *rest, **more)
                except SystemExit as error:  # of somebody's own code: a job ends by returning
                    raise PrunebenchError(
                        f"{own}/{name}: code that it runs ended the process (sys.exit)"
                    ) from error

        return held  # type: ignore[return-value]

    return decorate


def running(layout: Layout) -> list[Running]:
    """Return the jobs that began and did not end, the longest at work first."""
    found = []
    for path in sorted(_folder(layout).glob("*/*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            require_plain(path)
            said = json.loads(path.read_text(encoding="utf-8"))
            process, started = int(said["process"]), float(said["started"])
            kind, job = path.parent.name, path.stem
            found.append(Running(kind, job, process, started, _is_held(path)))
    return sorted(found, key=lambda each: each.started)


def _is_held(path: Path) -> bool:
    lock = process_lock(path)
    try:
        lock.acquire()
    except TimeoutError:
        return True
    lock.release()
    return False
