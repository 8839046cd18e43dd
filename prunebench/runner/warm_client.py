"""A job asks a process that has its libraries loaded to run it: starting costs nothing then.

Importing torch, timm and pandas takes seconds of each job's processor time. Where the workflow
runs its jobs on this machine, it names a folder in ``PRUNEBENCH_WARM``. The first job starts a
process there (``cli.warm_server``), which loads the libraries once and forks for each job. A job
hands over its arguments, folder, variables and open files, passes on the signals that it gets, and
ends as the forked process ends. Jobs with other variables get another such process: threads and
paths are read when libraries are loaded.

Nothing depends on it. Where that process is not there, or says no, the job runs by itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from prunebench.runner.watched import (
    SUPERVISOR,
    end_by_signal,
    pass_on,
    supervisor_file,
    why_not,
)

WARM = "PRUNEBENCH_WARM"  # <process id of the workflow>:<folder>
COMMAND = "warm-process"
PATIENCE = 10.0  # seconds until the process listens; it loads libraries later
# what a shell changes without a meaning for a job
_OF_THE_SHELL = {"_", "SHLVL", "PWD", "OLDPWD"}


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a job is told from another that needs another process."""
    left_out = _OF_THE_SHELL | {WARM, SUPERVISOR}
    return {name: value for name, value in environment.items() if name not in left_out}


def run_warm(arguments: Sequence[str]) -> int | None:
    """Run a command in a warm process; return its exit status, or None where there is none.

    Where a signal ends the command, it ends this process too.

    Args:
        arguments: of ``prunebench``.
    """
    workflow, _, folder = os.environ.get(WARM, "").partition(":")
    if not folder or not Path(folder).is_dir() or not hasattr(os, "pidfd_open"):
        return None
    own = json.dumps(variables(os.environ), sort_keys=True)
    path = Path(folder) / sha256(own.encode()).hexdigest()[:16]
    connection = _connected(path) or _started(path, workflow)
    if connection is None:
        return None
    with connection:
        passing = _PassedOn()
        process = _asked(connection, arguments)
        passing.begin(process)
        return None if process is None else _ended(connection)


class _PassedOn:
    """Signals that this process gets, for the one that runs the command, once it is known."""

    def __init__(self) -> None:
        self.process: int | None = None
        self.early: list[int] = []
        self.before = pass_on(self._pass_on)

    def _pass_on(self, number: int, frame: object) -> None:
        if self.process is None:
            self.early.append(number)
            return
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self.process, number)

    def begin(self, process: int | None) -> None:
        """Pass signals on to a process; where there is none, they are this one's again."""
        self.process = process
        if process is None:
            for number, before in self.before.items():
                signal.signal(number, before)
        for early in self.early:
            os.kill(process or os.getpid(), early)


def _connected(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    return connection


def _started(path: Path, workflow: str) -> socket.socket | None:
    """Start a warm process; connect to it, or to the one that another job has just started."""
    process = subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-m", "prunebench", COMMAND, str(path), workflow],
        # a pipe of this job's would stay open as long as the process lives
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # Arrow's allocator otherwise starts a thread, and a process of two may not be forked
        env=variables(os.environ) | {"JE_ARROW_MALLOC_CONF": "background_thread:false"},
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if connection := _connected(path):
            return connection
        if process.poll() is not None and not path.exists():
            return None
        time.sleep(0.02)
    return None


def _asked(connection: socket.socket, arguments: Sequence[str]) -> int | None:
    """Hand the command over; return the id of the process that runs it, None where none does."""
    request = {
        "arguments": list(arguments), "folder": str(Path.cwd()), "environment": dict(os.environ),
    }  # fmt: skip
    try:
        socket.send_fds(connection, [b"\n"], [0, 1, 2])
        connection.sendall(json.dumps(request).encode() + b"\n")
        return int(_line(connection) or 0) or None
    except OSError:
        return None


def _line(connection: socket.socket) -> bytes:
    """Return the next line; of what follows nothing is read, so that it can be waited for."""
    found = b""
    while not found.endswith(b"\n") and (byte := connection.recv(1)):
        found += byte
    return found


def _ended(connection: socket.socket) -> int:
    """Wait for the end of the command; end like it where a signal ended it.

    It dies with this process, which ends with the workflow.
    """
    if _is_orphaned(connection):
        return 1
    said = _line(connection)
    if not said:
        print("error: the process that ran this job has ended with its server", file=sys.stderr)
        return 1
    status, done = map(int, said.split())
    if why := why_not(status, bool(done)):
        print(f"error: {why}", file=sys.stderr)
    end_by_signal(status)
    return status or int(not done)


def _is_orphaned(connection: socket.socket) -> bool:
    """Wait until there is an answer or the workflow has ended; return whether it is the latter."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    try:
        supervisor = supervisor_file()
    except ProcessLookupError:
        return True
    if supervisor is not None:
        waiting.register(supervisor, select.POLLIN)
    ready = dict(waiting.poll())
    return supervisor in ready and connection.fileno() not in ready
