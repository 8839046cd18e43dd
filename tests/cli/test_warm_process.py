"""Jobs that a warm process runs are like those that run alone, and end with their client."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prunebench.cli.warm_server import LOADED
from prunebench.runner.warm_client import WARM
from prunebench.runner.watched import SUPERVISOR
from tests.conftest import ROOT

# a server whose one command does what its first argument says, as Python
SERVER = """
import os, signal, sys, threading, time
from pathlib import Path
from prunebench.cli import warm_server
warm_server.LOADED = {"do": ("json",), "thread": ("one_thread_more",)}
warm_server._package_files = lambda: Path("sources").read_text()
warm_server.serve(Path(sys.argv[1]), int(sys.argv[2]), lambda: exec(sys.argv[2]))
"""
CLIENT = """
import sys
from prunebench.runner import warm_client
status = warm_client.run_warm(sys.argv[1:])
print("by itself" if status is None else f"status {status}")
"""
PATIENCE = 60.0


def wait(until: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


class Warm:
    """A workflow that does nothing, and the warm process of its jobs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.sockets = folder, folder / "w"
        self.sockets.mkdir()
        (folder / "sources").write_text("as they were")
        (folder / "one_thread_more.py").write_text(
            "import threading\n"
            "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        )
        self.workflow = subprocess.Popen(["sleep", "600"])
        self.environment = environment | {
            "PYTHONPATH": f"{ROOT}:{folder}", WARM: f"{self.workflow.pid}:{self.sockets}",
        }  # fmt: skip

    def serve(self) -> None:
        """Start the server where the client would start it."""
        named = "from prunebench.runner import warm_client as w; import hashlib, json, os;"
        code = named + (
            "own = json.dumps(w.variables(os.environ), sort_keys=True);"
            "print(hashlib.sha256(own.encode()).hexdigest()[:16])"
        )
        name = self.python(code).communicate()[0].strip()
        self.server = self.python(SERVER, str(self.sockets / name), str(self.workflow.pid))
        wait(lambda: (self.sockets / name).exists())

    def python(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=self.folder, env=self.environment,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def start(self, what: str, command: str = "do") -> subprocess.Popen[str]:
        return self.python(CLIENT, command, what)

    def do(self, what: str, command: str = "do", given: str = "") -> tuple[str, str, int]:
        process = self.start(what, command)
        out, err = process.communicate(given, timeout=PATIENCE)
        return out, err, process.returncode


@pytest.fixture
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    folder = tmp_path_factory.mktemp("s")  # short: a socket's path has a hundred letters
    made = Warm(folder, {k: v for k, v in os.environ.items() if k != WARM})
    made.serve()
    yield made
    made.workflow.kill()
    made.workflow.wait()
    made.server.kill()
    made.server.communicate()


def test_a_job_has_its_arguments_folder_variables_and_files(warm: Warm) -> None:
    what = (
        "print(os.getppid(), Path.cwd(), sys.stdin.read()); print('told', file=sys.stderr);"
        " sys.exit(3)"
    )
    out, err, _ = warm.do(what, given="read")
    assert out.splitlines() == [f"{warm.server.pid} {warm.folder} read", "status 3"]
    assert err == "told\n"


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("pass", 0), ("sys.exit()", 0), ("sys.exit('why')", 1), ("1 / 0", 1),
        ("import atexit; atexit.register(print, 'last')", 0),
    ],
)  # fmt: skip
def test_a_job_ends_as_an_interpreter_does(warm: Warm, what: str, status: int) -> None:
    out, err, _ = warm.do(what)
    own = subprocess.run(
        [sys.executable, "-c", f"import sys\n{what}"], capture_output=True, text=True, check=False
    )
    assert own.returncode == status
    assert out == f"{own.stdout}status {status}\n"
    assert err.splitlines()[-1:] == own.stderr.splitlines()[-1:]


def test_a_killed_job_ends_alone_and_its_client_ends_like_it(warm: Warm) -> None:
    beside = warm.start("time.sleep(1)")
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGABRT):
        assert warm.do(f"os.kill(os.getpid(), {int(number)})")[2] == -number
    assert beside.communicate()[0] == "status 0\n"
    assert warm.do("pass")[0] == "status 0\n"


def test_a_job_that_ends_before_it_is_done_is_a_no(warm: Warm) -> None:
    out, err, _ = warm.do("os._exit(0)")
    assert out == "status 1\n"
    assert err.startswith("error: the command is not done: its process has ended before it")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="nothing tells of a process's end")
def test_a_job_dies_with_the_workflow_that_it_is_of(warm: Warm) -> None:
    workflow = subprocess.Popen(["sleep", "600"])
    warm.environment[SUPERVISOR] = str(workflow.pid)
    client = warm.start("print(os.getpid(), flush=True); time.sleep(600)")
    assert client.stdout is not None
    job = int(client.stdout.readline())
    workflow.kill()
    workflow.wait()
    assert client.communicate(timeout=PATIENCE)[0] == "status 1\n"
    wait(lambda: not Path(f"/proc/{job}").exists())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(warm: Warm, number: signal.Signals) -> None:
    client = warm.start(
        f"signal.signal({int(number)}, lambda *_: sys.exit(7)); print('on', flush=True);"
        " time.sleep(60)"
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "on\n"
    client.send_signal(number)
    assert client.communicate(timeout=PATIENCE)[0] == "status 7\n"


def test_a_job_dies_with_its_client(warm: Warm) -> None:
    client = warm.start("print(os.getpid(), flush=True); time.sleep(600)")
    assert client.stdout is not None
    job = int(client.stdout.readline())
    client.kill()
    client.communicate()
    wait(lambda: not Path(f"/proc/{job}").exists())
    assert warm.do("pass")[0] == "status 0\n"


def test_the_workflow_ends_and_what_it_left_behind(warm: Warm) -> None:
    client = warm.start("print('on', flush=True); sys.stdin.readline(); print('done')")
    assert client.stdout is not None
    assert client.stdout.readline() == "on\n"
    warm.workflow.kill()
    warm.workflow.wait()
    wait(lambda: not warm.sockets.exists())
    assert warm.do("pass")[0] == "by itself\n"  # nobody takes more jobs
    assert warm.server.poll() is None
    # one that runs is brought to its end
    assert client.communicate("\n", timeout=PATIENCE)[0] == "done\nstatus 0\n"
    assert warm.server.wait(PATIENCE) == 0


def test_changed_sources_and_unknown_commands_run_by_themselves(warm: Warm) -> None:
    assert warm.do("pass")[0] == "status 0\n"
    assert warm.do("pass", "other")[0] == "by itself\n"
    (warm.folder / "sources").write_text("changed")
    assert warm.do("pass")[0] == "by itself\n"


def test_a_process_of_two_threads_is_not_forked(warm: Warm) -> None:
    assert warm.do("pass", "thread")[0] == "by itself\n"


def test_every_job_of_the_workflow_is_served_but_a_download() -> None:
    text = "".join(path.read_text() for path in (ROOT / "workflows").glob("*.smk"))
    called = set(re.findall(r"\bprunebench ([a-z-]+) \{", text))
    assert set(LOADED) == called - {"download"}


def test_the_first_job_starts_it_and_other_variables_another(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("s")
    made = Warm(folder, {k: v for k, v in os.environ.items() if k != WARM})
    command = [sys.executable, "-m", "prunebench", "collect", "none.yaml", "none.txt"]

    def run(**others: str) -> tuple[int, str]:
        done = subprocess.run(
            command, cwd=folder, env=made.environment | others, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    try:
        alone = run(**{WARM: ""})
        assert not list(made.sockets.iterdir())
        assert run() == alone
        [first] = made.sockets.iterdir()
        assert run(SHLVL="7") == alone
        assert list(made.sockets.iterdir()) == [first]
        assert run(OMP_NUM_THREADS="3") == alone
        assert len(list(made.sockets.iterdir())) == 2
    finally:
        made.workflow.kill()
        made.workflow.wait()
    assert alone[0] == 2
    assert "none.txt" in alone[1]
    wait(lambda: not made.sockets.exists())
