"""One command at a time works on an experiment; the lock of one that was killed holds nobody up."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.storage import links
from prunebench.storage.layout import LOCK

if TYPE_CHECKING:
    from filelock import FileLock

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def process_lock(path: Path, **options: Any) -> FileLock:
    """Return a lock on a file that ends with its process, however that ends; not yet acquired.

    ``acquire`` makes the file and its folder, tries once, and leaves what the file holds. It raises
    filelock.Timeout where another process holds the lock, and OSError where none can be had.
    ``options`` are those of filelock.FileLock.

    Raises:
        PrunebenchError: the path is a link, leads through one in an experiment's folder, or is no
            plain file.
    """
    from filelock import FileLock  # takes longer to import than most commands take

    links.refuse(path)
    links.refuse_special(path)
    # a file that locks by being there, to which filelock could fall back, would outlive a kill
    own: dict[str, Any] = {"blocking": False, "thread_local": False, "fallback_to_soft": False}
    return FileLock(path, **(own | options))


def write_held(path: Path, text: str) -> None:
    """Write what a lock's file holds, in place: a file renamed over it would not be locked.

    Raises:
        PrunebenchError: as ``process_lock``.
        OSError: it cannot be written.
    """
    with os.fdopen(links.open_own(path), "r+", encoding="utf-8") as file:
        file.truncate()
        file.write(text)


@contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs; wait for others that hold it.

    On a file system that knows no locks nobody waits.

    Raises:
        PrunebenchError: as ``process_lock``.
        Unwritable: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = process_lock(path, blocking=True)
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise Unwritable(f"cannot write {path}: {error.strerror}") from error
        yield
        return
    try:
        yield
    finally:
        lock.release()


class Lock:
    """The right to work on ``results/<experiment>/``, held until ``release`` or the process ends.

    Made, it tries once; ``taken`` says whether that went well, ``require`` why it did not. A folder
    that holds a symbolic link is refused: Snakemake and shells write there too, and follow it.
    """

    def __init__(self, root: Path) -> None:
        from filelock import Timeout

        self._fault: PrunebenchError | None = None
        path = root / LOCK
        self._lock: FileLock | None = None
        try:
            links.refuse_below(root)
            self._lock = process_lock(path)
            self._acquire(self._lock)
            write_held(path, str(os.getpid()))
        except Timeout:
            holder = path.read_text(encoding="utf-8", errors="replace").strip() or "unknown"
            self._fault = PrunebenchError(
                f"{root}: another command is at work on it (process {holder}): wait for it or stop"
                " it"
            )
        except OSError as error:
            self._fault = Unwritable(f"cannot write {path}: {error.strerror}")
            self.release()
        except PrunebenchError as error:
            self._fault = error
            self.release()

    def _acquire(self, lock: FileLock) -> None:
        try:
            lock.acquire()
        except OSError as error:
            # some shared file systems know no locks: there the user sees to it that one works alone
            if error.errno not in _NO_LOCKS:
                raise

    @property
    def taken(self) -> bool:
        """Whether this process may work on the experiment."""
        return self._fault is None

    def require(self) -> None:
        """Raise PrunebenchError where it may not: another command works, or nobody can write."""
        if self._fault is not None:
            raise self._fault

    def release(self) -> None:
        """Let another command work on the experiment."""
        if self._lock is not None:
            self._lock.release()


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of an experiment while the block runs.

    Raises:
        PrunebenchError: it cannot be had.
    """
    lock = Lock(root)
    lock.require()
    try:
        yield
    finally:
        lock.release()
