"""The folder that ``compress`` writes: one command at a time, nobody else's files, no links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.runner.compress import given
from prunebench.runner.compress.request import SEARCH
from prunebench.storage.layout import LOCK
from prunebench.storage.lock import locked

_OWN = (LOCK, SEARCH, given.FOLDER)  # one of these is there since compress began


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder while the block writes into it.

    Raises:
        PrunebenchError: it holds files and none of ``compress``, or a symbolic link; another
            command works on it; or it cannot be written.
    """
    try:
        there = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        there = set()
    except OSError as error:
        raise PrunebenchError(f"{folder}: {error.strerror}") from error
    if there and there.isdisjoint(_OWN):
        raise PrunebenchError(
            f"compress: {folder} holds other files: name a new folder for the output"
        )
    with locked(folder):
        yield
