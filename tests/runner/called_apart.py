"""Functions that a process of its own is asked to call."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from prunebench.errors import Passing, PrunebenchError


def doubled(value: Any) -> Any:
    print("said on standard output")
    return [value, value]


def leaves() -> None:
    sys.exit(0)


def leaves_at_once() -> None:
    os._exit(0)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def has_a_bug() -> None:
    raise ZeroDivisionError


def refuses() -> None:
    raise PrunebenchError("no such thing")


def lacks_room() -> None:
    raise Passing("no room")
