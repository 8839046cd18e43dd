"""What looking at a finished cell found, kept beside it and computed once.

A look is named by the cell, by its own settings and by its code: another of any of them is another
look. A cell that failed or diverged has no network to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.hashing import digest
from prunebench.storage.layout import RECORD
from prunebench.storage.records import DIVERGED, FAILED


def look(folder: Path, name: str, settings: Any, compute: Callable[[], dict[str, Any]]) -> None:
    """Write what ``compute`` finds on the cell in ``folder`` into its file ``name``, if missing.

    ``settings``: all that decides it beside the cell. Raises PrunebenchError where the cell's
    record is missing.
    """
    record = read_sealed(folder / RECORD)
    if record["status"] in (FAILED, DIVERGED):
        return
    identity = digest([record["identity"], settings])
    if _stored_identity(folder / name) != identity:
        write_sealed(folder / name, {"identity": identity, **compute()})


def _stored_identity(path: Path) -> str | None:
    try:
        found: str | None = read_sealed(path).get("identity")
    except PrunebenchError:  # missing, or damaged: computed anew
        return None
    return found
