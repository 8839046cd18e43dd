"""Feeds inputs to a reader in a process of its own, which may write into one folder and no more.

``python -m tests.robustness.fuzz.confined READER COUNT FOLDER`` prints figures as JSON; those so
far stand in ``figures.json`` of the folder. It ends with a traceback at the first input, made as
small as it goes, for which the reader raises something else than a refusal in one line, writes
elsewhere, starts a process, calls somebody, unpickles an object, runs code of the folder, or needs
more time or memory than it may.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS = 20.0  # of the processor, for one input
MEMORY = 3 * 2**29  # bytes of addresses beyond those that are taken when the first input comes
LONGEST = 5000  # signs of a message
EACH = 100  # inputs, after which figures are written: hours later a run may be stopped
# without Phase.shrink, which would look for a simpler one for minutes
_ONE = settings(database=None, max_examples=1, phases=(Phase.generate,))
Reader = tuple[SearchStrategy[Any], Callable[[Any], Any]]

_STARTS = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
    "os.forkpty", "os.startfile",
)  # fmt: skip
# events of Python's audit hooks -> which of their arguments are paths that are changed
_CHANGES = {
    "os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
}  # fmt: skip


class Escaped(BaseException):
    """Something happened that no reader may do; no ``except Exception`` hides it."""


class Guard:
    """Watches what this process does, from ``__enter__`` on; a hook cannot be taken away."""

    def __init__(self, folder: Path) -> None:
        self.own = (str(folder), os.path.realpath(folder))
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self._see)

    def _see(self, event: str, given: tuple[Any, ...]) -> None:
        if self.on and (fault := self._fault(event, given)):
            self.seen.append(fault)
            raise Escaped(fault)

    def _fault(self, event: str, given: tuple[Any, ...]) -> str:
        if event in _STARTS:
            return f"a process was started: {given}"
        if event == "pickle.find_class":
            return f"an object was unpickled: {given}"
        if event == "socket.connect" and "127.0.0.1" not in str(given[1]):
            return f"somebody was called: {given[1]}"
        # what has no file, as dataclasses make, is called <string>
        file = getattr(given[0], "co_filename", "") if event == "exec" else ""
        if file[:1] == os.sep and self._is_own(file):
            return f"code was run: {given[0]}"
        paths: list[Any] = []
        if event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            paths = [given[0]]
        elif event in _CHANGES:
            paths = [given[place] for place in _CHANGES[event]]
        outside = [path for path in paths if not isinstance(path, int) and not self._is_own(path)]
        return f"{event}: changed outside: {outside}" if outside else ""

    def _is_own(self, path: Any) -> bool:
        text = os.path.realpath(os.fsdecode(path)) if isinstance(path, str | bytes | Path) else ""
        return text.startswith(self.own) or text == os.devnull


def main(name: str, count: int, folder: Path) -> dict[str, Any]:
    """Feed a reader; return figures.

    Raises:
        BaseException: whatever an input brought about that is no refusal.
    """
    os.chdir(folder)
    os.environ["TMPDIR"] = os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "tmp")
    (folder / "tmp").mkdir()
    tempfile.tempdir = None
    from tests.robustness.fuzz.readers import READERS

    inputs, read = READERS[name](folder)
    guard, figures = Guard(folder), Counter[str]()
    slowest, so_far = 0.0, folder / "figures.json"

    def stop(*_: object) -> None:
        raise Escaped(f"an input took more than {SECONDS:g} s")

    @settings(
        max_examples=count, database=None, deadline=None, derandomize=count < 1000,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(inputs)
    def feed(given: Any) -> None:
        nonlocal slowest
        began = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        guard.seen.clear()
        guard.on = True
        try:
            figures["refused" if _refused(read, given) else "accepted"] += 1
        finally:
            guard.on = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        assert not guard.seen, guard.seen
        slowest = max(slowest, time.process_time() - began)
        if figures.total() % EACH == 0:
            so_far.write_text(json.dumps({**figures, "slowest": round(slowest, 3)}))

    signal.signal(signal.SIGVTALRM, stop)
    feed.hypothesis.inner_test(_first(inputs))  # imports what it needs
    figures.clear()
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    before, began = _peak(), time.monotonic()
    feed()
    return {
        "inputs": figures.total(), **figures, "seconds": round(time.monotonic() - began, 1),
        "slowest": round(slowest, 3), "MiB before": before, "MiB at most": _peak(),
    }  # fmt: skip


def _first(inputs: SearchStrategy[Any]) -> Any:
    """Return the simplest input: nothing is changed in the first seed."""
    from hypothesis import find

    return find(inputs, lambda _: True, settings=_ONE)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _refused(read: Callable[[Any], Any], given: Any) -> bool:
    from prunebench.errors import PrunebenchError

    try:
        read(given)
    except PrunebenchError as error:
        said = str(error)
        assert said, "an empty message"
        assert said.isprintable(), said
        assert len(said) < LONGEST, said
        return True
    return False


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
