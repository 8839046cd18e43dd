"""One command at a time works on an experiment; the lock of one that was killed holds nobody up.

A lock of the operating system: it ends with its process, however that ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from prunebench.errors import PrunebenchError, Unwritable

LOCK = ".lock"


class Lock:
    """The right to work on ``results/<experiment>/``, held until ``release`` or the process ends.

    Made, it tries once; ``taken`` says whether that went well, ``require`` why it did not.
    """

    def __init__(self, root: Path) -> None:
        self._fault: PrunebenchError | None = None
        self._file: TextIOWrapper | None = None
        path = root / LOCK
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8")
            _lock(self._file)
            self._file.truncate(0)
            self._file.write(str(os.getpid()))
            self._file.flush()
        except BlockingIOError:
            self._fault = PrunebenchError(
                f"{root}: another command is at work on it ({_holder(self._file)}): wait for it or"
                " stop it"
            )
            self.release()
        except OSError as error:
            self._fault = Unwritable(f"cannot write {path}: {error.strerror}")
            self.release()

    @property
    def taken(self) -> bool:
        """Whether this process holds it."""
        return self._file is not None

    def require(self) -> None:
        """Raise PrunebenchError where it is not held: another command works, or nobody may."""
        if self._fault is not None:
            raise self._fault

    def release(self) -> None:
        """Let others."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: TextIOWrapper) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # some shared file systems know no locks: there the user sees to it that one works alone
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def _holder(file: TextIOWrapper | None) -> str:
    """Who wrote the file that is locked."""
    if file is None:
        return "unknown"
    file.seek(0)
    return f"process {file.read().strip() or 'unknown'}"


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of an experiment. Raises PrunebenchError where it cannot be had."""
    lock = Lock(root)
    lock.require()
    try:
        yield
    finally:
        lock.release()
