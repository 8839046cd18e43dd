"""A command is done if it has said so; it ends with whoever watches it, and with its workflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prunebench.runner.watched import SUPERVISOR
from tests.conftest import ROOT

PROGRAM = """
import os, signal, subprocess, sys, time
from prunebench.runner.watched import *
def run():
    exec(sys.argv[1])
status = watched(run)
print("ended", flush=True)
sys.exit(status)
"""
PATHS = {"PYTHONPATH": str(ROOT)}
BEAT = """
for n in range(3000):
    open("beats", "w").write(str(n)); time.sleep(0.02)
"""
NOT_DONE = "error: the command is not done: "


def start(folder: Path, what: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what], cwd=folder, text=True, start_new_session=True,
        env=os.environ | PATHS | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def end(folder: Path, what: str) -> tuple[int, str, str]:
    process = start(folder, what)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait(until: Callable[[], object]) -> None:
    last = time.monotonic() + 60
    while not until():
        assert time.monotonic() < last
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("what", "status"), [("pass", 0), ("sys.exit(0)", 0), ("sys.exit(3)", 3), ("sys.exit('no')", 1)]
)
def test_a_command_ends_as_it_ends_alone(tmp_path: Path, what: str, status: int) -> None:
    found, out, err = end(tmp_path, what)
    assert found == status
    # of the child, that returned, and of who watched; of the latter alone where it raised
    assert out.count("ended") == (2 if what == "pass" else 1)
    assert NOT_DONE not in err


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("os._exit(0)", 1),
        ("__import__('posix')._exit(0)", 1),
        ("os.execv('/bin/true', ['true'])", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        # a real-time signal, which has no name
        pytest.param(
            "os.kill(os.getpid(), signal.SIGRTMIN + 3)", -getattr(signal, "SIGRTMIN", 0) - 3,
            marks=pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="has none"),
        ),
    ],
)  # fmt: skip
def test_a_process_that_ends_before_its_command_is_a_no(
    tmp_path: Path, what: str, status: int
) -> None:
    found, _, err = end(tmp_path, what)
    assert found == status
    assert err.startswith(NOT_DONE)
    assert len(err.splitlines()) == 1


def test_an_error_is_told_once(tmp_path: Path) -> None:
    status, _, err = end(tmp_path, "1 / 0")
    assert status == 1
    assert NOT_DONE not in err
    assert err.count("ZeroDivisionError") == 1


@pytest.mark.parametrize("said", ["", "say(DOCUMENT_GIVEN);"])
def test_a_program_that_waits_for_a_document_gets_one(tmp_path: Path, said: str) -> None:
    _, out, _ = end(tmp_path, f"say(DOCUMENT_WANTED); {said} os._exit(0)")
    documents = [line for line in out.splitlines() if line != "ended"]
    assert [list(json.loads(text)) for text in documents] == ([] if said else [["error"]])


def test_what_a_command_leaves_at_work_holds_nobody_up(tmp_path: Path) -> None:
    """A forked process has the pipe open, too."""
    left = """
pid = os.fork()
if pid == 0:
    os.closerange(0, 3); time.sleep(60); os._exit(0)
open('left', 'w').write(str(pid))
"""
    status, _, _ = end(tmp_path, left)
    assert status == 0
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("to_group", [True, False])
def test_an_interrupt_comes_once_and_lets_the_command_tidy_up(
    tmp_path: Path, to_group: bool
) -> None:
    """As from a terminal, which interrupts both, and as from ``kill``."""
    what = """
try:
    open("ready", "w"); time.sleep(60)
except KeyboardInterrupt:
    for n in range(20): time.sleep(0.01)
    open("tidy", "w"); sys.exit(130)
"""
    process = start(tmp_path, what)
    wait((tmp_path / "ready").exists)
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / "tidy").exists()


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    shell = "trap '' HUP; exec \"$@\""
    what = "open('ready', 'w'); time.sleep(1)"
    process = subprocess.Popen(
        ["sh", "-c", shell, "sh", sys.executable, "-c", PROGRAM, what],
        cwd=tmp_path, env=os.environ | PATHS, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait((tmp_path / "ready").exists)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells of a parent's death")
def test_it_dies_with_who_watches(tmp_path: Path) -> None:
    process = start(tmp_path, BEAT)
    wait((tmp_path / "beats").exists)
    process.kill()
    process.communicate(timeout=60)
    assert_silent(tmp_path / "beats")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="nothing tells of a process's end")
def test_it_dies_with_its_workflow(tmp_path: Path) -> None:
    workflow = subprocess.Popen(["sleep", "600"])
    process = start(tmp_path, BEAT, **{SUPERVISOR: str(workflow.pid)})
    wait((tmp_path / "beats").exists)
    workflow.kill()
    workflow.wait()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == f"{NOT_DONE}the workflow that started it has ended\n"
    assert_silent(tmp_path / "beats")
    # and none begins for one that has ended
    (tmp_path / "beats").unlink()
    process = start(tmp_path, BEAT, **{SUPERVISOR: str(workflow.pid)})
    process.communicate(timeout=60)
    assert process.returncode == 1


def assert_silent(beats: Path) -> None:
    time.sleep(0.3)
    last = beats.read_text()
    time.sleep(0.5)
    assert beats.read_text() == last
