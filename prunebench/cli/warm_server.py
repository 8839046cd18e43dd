"""The process that has its libraries loaded and forks for each job that asks (``warm_client``).

It forks only while it has one thread and uses no GPU, since a fork would break either. It says no,
and the job runs by itself, where that does not hold, and where a file of the package has changed
since it was loaded. A job that dies, of whatever, dies alone. A job dies with its client. Once the
workflow's process has ended and no job runs, this process ends too.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from prunebench.experiment.code_identity import code_hash, with_helpers
from prunebench.experiment.sources import BASELINE, PRUNING, SHRUNK_TRAINING, paths
from prunebench.runner.watched import DONE, all_said, work

_TABLES = ("pandas", "pyarrow.parquet", "scipy.stats", "prunebench.runner.pipeline")
_NETWORKS = (
    *_TABLES, "torchvision", "timm", "torch_pruning", "prunebench.runner.baselines",
    "prunebench.runner.curves", "prunebench.runner.probes",
)  # fmt: skip
_PAGES = (*_TABLES, "jinja2", "matplotlib.pyplot", "seaborn", "fontTools.subset")
# what a command imports, as far as it takes long
LOADED: Mapping[str, Sequence[str]] = {
    "prepare": _NETWORKS, "channels": _NETWORKS, "baselines": _NETWORKS, "curves": _NETWORKS,
    "probes": _NETWORKS, "latencies": _NETWORKS, "measure": _TABLES, "collect": _TABLES,
    "tables": _TABLES, "figures": _PAGES, "leaderboard": _PAGES, "report": _PAGES,
    "paper": _PAGES, "ro-crate": _TABLES, "track": (*_TABLES, "mlflow"),
    "track-cells": (*_TABLES, "mlflow"),
}  # fmt: skip
PATIENCE = 10.0  # seconds for a client to say what it wants


@dataclass(frozen=True)
class Request:
    """What a forked process is to run."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    files: list[int]  # standard input, output and error
    said_to: int = -1  # where the process says that it is done

    def become(self) -> None:
        """Make this process like one that was started with these arguments, folder and files."""
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        sys.argv[1:] = self.arguments
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the server's is none
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed()  # else all would draw the same where no seed is given


@dataclass(frozen=True)
class Running:
    """A forked process, and the client that waits for its end."""

    process: int
    ended: int  # readable then
    client: socket.socket
    said: int  # what it says that it has done


class WarmServer:
    """Forks for clients until a process ends."""

    def __init__(self, path: Path, workflow: int) -> None:
        """Listen.

        Args:
            path: of the socket, in a folder for sockets alone, which is removed in the end.
            workflow: id of the process.

        Raises:
            OSError: another listens there, or there is no such process.
        """
        self.path = path
        self.package = _package_files()
        self.workflow = os.pidfd_open(workflow)
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(str(path))
        self.listening.listen(128)
        self.running: list[Running] = []
        self.events = selectors.DefaultSelector()
        self.events.register(self.listening, selectors.EVENT_READ, self._accept)
        self.events.register(self.workflow, selectors.EVENT_READ, self._end)
        # a terminal interrupts the clients as well, and they pass it on
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> Request | None:
        """Serve. Return None when all is over, and in a forked process what it is to run."""
        request: Request | None = None
        while request is None and self.events.get_map():
            # one at a time: it may unregister another that is ready
            key, _ = self.events.select()[0]
            request = key.data()
        return request

    def _end(self) -> None:
        for each in (self.listening, self.workflow):
            self.events.unregister(each)
        self.listening.close()
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _accept(self) -> Request | None:
        client, _ = self.listening.accept()
        client.settimeout(PATIENCE)
        request = None
        with suppress(OSError, ValueError):
            request = _received(client)
        if request is None or not self._may_fork(request):
            client.close()
        else:
            gc.freeze()  # collecting would write to, and so copy, what is shared
            said, said_to = os.pipe()
            process = os.fork()
            if process == 0:
                self._forget()
                client.close()
                os.close(said)
                return replace(request, said_to=said_to)
            os.close(said_to)
            running = Running(process, os.pidfd_open(process), client, said)
            self.running.append(running)
            self.events.register(running.ended, selectors.EVENT_READ, lambda: self._reap(running))
            self.events.register(client, selectors.EVENT_READ, lambda: self._kill(running))
            with suppress(OSError):
                client.sendall(b"%d\n" % process)
        for file in request.files if request else ():
            os.close(file)
        return None

    def _may_fork(self, request: Request) -> bool:
        if not request.arguments or request.arguments[0] not in LOADED:
            return False
        with suppress(Exception):  # the job says what it lacks
            _read_sources()
        for name in LOADED[request.arguments[0]]:
            with suppress(Exception):
                import_module(name)
        torch: Any = sys.modules.get("torch")
        return (
            len(list(Path("/proc/self/task").iterdir())) == 1
            and not (torch and torch.cuda.is_initialized())
            and self.package == _package_files()
        )

    def _forget(self) -> None:
        """Close, in a forked process, what is the server's."""
        self.events.close()
        self.listening.close()
        os.close(self.workflow)
        for each in self.running:
            each.client.close()
            os.close(each.ended)
            os.close(each.said)

    def _kill(self, running: Running) -> None:
        """End a process whose client has gone."""
        self.events.unregister(running.client)
        os.kill(running.process, signal.SIGKILL)

    def _reap(self, running: Running) -> None:
        _, status = os.waitpid(running.process, 0)
        done = DONE in all_said(running.said)
        with suppress(OSError):
            running.client.sendall(b"%d %d\n" % (os.waitstatus_to_exitcode(status), done))
        with suppress(KeyError):
            self.events.unregister(running.client)
        self.events.unregister(running.ended)
        os.close(running.ended)
        running.client.close()
        self.running.remove(running)


def _received(client: socket.socket) -> Request | None:
    """Return what a client wants: three open files, and a line of JSON."""
    _, files, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as lines:
        said = json.loads(lines.readline())
    return Request(**said, files=files) if len(files) == 3 else None


def _read_sources() -> None:
    """Hash the source files that most results stand on: each job would, to name its own.

    They are kept in memory, and no job is forked once one of them has changed.
    """
    code_hash([*paths(BASELINE), *with_helpers([*paths(PRUNING), *paths(SHRUNK_TRAINING)])])


def _package_files() -> dict[str, tuple[int, int]]:
    """Return the time and the size of every source of the package."""
    root = Path(__file__).parents[1]
    stats = {str(path): path.stat() for path in root.rglob("*.py")}
    return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}


def serve(path: Path, workflow: int, run: Callable[[], None]) -> None:
    """Serve jobs at a socket until a process ends.

    Args:
        path: of the socket.
        workflow: id of the process.
        run: runs the command that ``sys.argv`` holds, in a forked process.
    """
    request = WarmServer(path, workflow).serve()
    if request is None:
        return
    request.become()
    status = 1
    try:
        work(run, request.said_to)
        status = 0
    except SystemExit as end:
        status = _status(end)
    except BaseException:
        traceback.print_exc()
    finally:
        # taking down what was loaded costs as much as loading half of it
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)


def _status(end: SystemExit) -> int:
    """Return the exit status that an interpreter makes of its end."""
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
    return end.code if isinstance(end.code, int) else int(end.code is not None)
