"""Call a function of the package in a process of its own: code that it runs harms nobody here.

A method, a network or data of somebody's own may end its process, patch what others use, change
folder or settings of torch. So what runs such code, and is not alone in its process already, is
called through ``apart``. Arguments and what comes back are JSON in a folder between the two: no
pickle of a process that ran foreign code is read, and what that code prints goes to standard error.
This holds off accidents, and code that would pass by ending early; a process that runs code which
means harm can do whatever its user can (docs/security.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any

from prunebench.errors import Passing, PrunebenchError
from prunebench.runner.watched import die_with, signal_name
from prunebench.storage.files import read_json, write_json, write_text

_ASKED, _ANSWER = "asked.json", "answer.json"
_LARGEST = 2**28  # bytes of an answer
_HERE: ContextVar[bool] = ContextVar("here", default=False)


class Unfinished(PrunebenchError):
    """The process ended before the function did: by ``sys.exit``, ``os._exit`` or a signal."""


@contextmanager
def staying_here(stays: bool) -> Iterator[None]:
    """Let jobs that run somebody's own code stay in this process within the block.

    Args:
        stays: whether they must: objects that this process was given are in no other.
    """
    token = _HERE.set(stays)
    try:
        yield
    finally:
        _HERE.reset(token)


def stays_here() -> bool:
    """Return whether jobs that run somebody's own code stay in this process."""
    return _HERE.get()


def apart(call: str, *arguments: Any) -> Any:
    """Return what a function returns that is called in a process of its own.

    Args:
        call: ``package.module:function``.
        arguments: of it, which JSON can say.

    Raises:
        Unfinished: the process ended early.
        PrunebenchError: the function raised one.
    """
    with tempfile.TemporaryDirectory(prefix="prunebench-") as name:
        folder = Path(name)
        write_json(folder / _ASKED, {"call": call, "arguments": arguments, "parent": os.getpid()})
        status = _run(folder)
        answer = folder / _ANSWER
        if not answer.is_file() or answer.stat().st_size > _LARGEST:
            raise Unfinished(f"its process ended before it was done, {_ending(status)}")
        found = read_json(answer)
    if not isinstance(found, dict) or not {"returned", "refused"} & found.keys():
        raise Unfinished(f"its process left no answer, {_ending(status)}")
    if "refused" in found:
        raise (Passing if found.get("passing") else PrunebenchError)(str(found["refused"]))
    return found["returned"]


def _run(folder: Path) -> int:
    """Run the process to its end and return its status."""
    # modules are looked for where this process does
    path = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def _ending(status: int) -> str:
    return f"with status {status}" if status >= 0 else f"by {signal_name(-status)}"


def _main(folder: Path) -> None:
    asked = read_json(folder / _ASKED)
    die_with(asked["parent"])  # so that nobody writes behind it
    os.dup2(2, 1)  # what is said on standard output is the command's alone
    module, _, function = asked["call"].partition(":")
    try:
        found = {"returned": getattr(import_module(module), function)(*asked["arguments"])}
    except PrunebenchError as error:
        found = {"refused": str(error), "passing": isinstance(error, Passing)}
    # NaN may be among measures; whoever reads it knows it
    write_text(folder / _ANSWER, json.dumps(found))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
