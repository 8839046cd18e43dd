"""A command works in a child of the process that was started, which watches over it.

What somebody's own code does to the process it runs in, it does to the child. By ``os._exit(0)``, a
signal, or another program in its place, the child ends before the command does, and that is a no,
whatever its status says: it is done only if it has said so. It ends with the process that watches,
and with the workflow that started the job, so that nobody writes behind a command that was killed.

Without ``os.fork`` the command works in the process itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SUPERVISOR = "PRUNEBENCH_SUPERVISOR"  # process id of the workflow, for jobs on its machine
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DONE, DOCUMENT_WANTED, DOCUMENT_GIVEN = b".", b"?", b"!"  # what a child may say
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of Linux
_ONE_KEY = 0.5  # seconds in which several interrupts are one
_ORPHANED = "the command is not done: the workflow that started it has ended"
_said_to: int | None = None  # in a child: where it says what it has done


def watched(run: Callable[[], None]) -> int:
    """Run a command in a child, watch over it, and return its exit status.

    In the child it returns 0, or raises what the command raises. Where a signal ends the child, it
    ends this process too. To be called while there is one thread.

    Args:
        run: the command.
    """
    if not hasattr(os, "fork"):
        run()
        return 0
    reading, writing = os.pipe()
    own = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reading)
        die_with(own)
        work(run, writing)
        return 0
    os.close(writing)
    before = pass_on(_passing_on(child))
    status, orphaned = _end_of(child)
    for number, handler in before.items():
        signal.signal(number, handler)
    said = all_said(reading)
    why = why_not(status, DONE in said)
    if orphaned:
        why = _ORPHANED
    if why:
        print(f"error: {why}", file=sys.stderr)
        if DOCUMENT_WANTED in said and DOCUMENT_GIVEN not in said:
            print(json.dumps({"error": why}), flush=True)
    if orphaned:
        return 1
    end_by_signal(status)
    return status or int(DONE not in said)


def work(run: Callable[[], None], writing: int) -> None:
    """Run a command in a child, and say when it is done.

    Args:
        run: the command.
        writing: descriptor of the pipe to whoever watches.

    Raises:
        BaseException: what the command raises.
    """
    global _said_to  # of the process, as its standard output is
    interrupt_once()
    _said_to = writing
    try:
        run()
    except SystemExit:
        say(DONE)
        raise
    say(DONE)


def pass_on(handler: Callable[[int, object], None]) -> dict[int, Any]:
    """Have a handler called for signals that another process should get; return the former ones.

    What is ignored, as ``nohup`` has it, stays so.
    """
    return {
        number: signal.signal(number, handler)
        for number in PASSED_ON
        if signal.getsignal(number) != signal.SIG_IGN
    }


def say(what: bytes) -> None:
    """Say to the process that watches how far the command is; nobody may watch."""
    if _said_to is not None:
        os.write(_said_to, what)


def die_with(parent: int) -> None:
    """End this process at once when its parent ends; on Linux alone.

    Args:
        parent: process id, taken before this process was started: it may have ended since.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def interrupt_once() -> None:
    """Make several interrupts at once one KeyboardInterrupt.

    A terminal interrupts whoever watches and whoever works, and the first passes it on.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return
    last = -_ONE_KEY

    def handle(number: int, frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= _ONE_KEY:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)


def end_by_signal(status: int) -> None:
    """End this process by the signal that ended another, if one did.

    Args:
        status: the other's, negative where a signal ended it.
    """
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)


def supervisor_file() -> int | None:
    """Return a file that is readable once the workflow that started this job has ended.

    Returns:
        Its descriptor; None where no workflow of this machine did, or that cannot be known.

    Raises:
        ProcessLookupError: it has ended already.
    """
    named = os.environ.get(SUPERVISOR, "")
    if not named.isdecimal() or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(int(named))
    except ProcessLookupError:
        raise
    except OSError:  # the system forbids it
        return None


def _passing_on(child: int) -> Callable[[int, object], None]:
    def pass_on(number: int, frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    return pass_on


def _end_of(child: int) -> tuple[int, bool]:
    """Wait for a child's end; return its status, and whether its workflow ended before."""
    orphaned = False
    with suppress(OSError, AttributeError):  # else it is waited for below
        waiting = select.poll()
        waiting.register(os.pidfd_open(child), select.POLLIN)
        try:
            supervisor = supervisor_file()
        except ProcessLookupError:
            orphaned = True
        else:
            if supervisor is not None:
                waiting.register(supervisor, select.POLLIN)
                orphaned = supervisor in dict(waiting.poll())
            # of both at once, the child has ended by itself
            orphaned = orphaned and os.waitid(os.P_PID, child, _LOOK) is None
        if orphaned:
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), orphaned


_LOOK = getattr(os, "WEXITED", 0) | getattr(os, "WNOHANG", 0) | getattr(os, "WNOWAIT", 0)


def all_said(reading: int) -> bytes:
    """Return what a child that has ended has said, and close the pipe.

    Who it started may hold the other end open.
    """
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", 0) as file:
        return file.read(64) or b""


def why_not(status: int, done: bool) -> str:
    """Return the message that a command which ended so is not done; "" if it is, or has said so."""
    if status < 0:
        return (
            f"the command is not done: {signal_name(-status)} ended its process; the same command"
            " goes on from what is done"
        )
    if status == 0 and not done:
        return (
            "the command is not done: its process has ended before it, by os._exit or another"
            " program in its place, of code of your own that it runs"
        )
    return ""


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGTERM; of one that has none, its number."""
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals
        return f"signal {number}"
