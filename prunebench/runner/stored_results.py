"""Results of probing and timing a finished cell, kept beside it and computed once.

A result is named by the cell, by its own settings and by its code: where any of them changes, it
is computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.cell import Cell
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.hashing import digest
from prunebench.storage.layout import RECORD
from prunebench.storage.records import DIVERGED, FAILED
from prunebench.storage.sealed_content import read_record


def compute_once(
    cell: Cell, name: str, settings: Any, compute: Callable[[], dict[str, Any]]
) -> None:  # fmt: skip
    """Write the result of ``compute`` on a cell into a file beside it, unless it is there.

    Args:
        cell: the cell; one that failed or diverged has no network to look at, and gets no file.
        name: the file.
        settings: everything that decides the result, beside the cell.
        compute: returns the result.

    Raises:
        PrunebenchError: the record of the cell is missing or damaged.
    """
    folder = cell.folder
    record = read_record(folder / RECORD)
    if record["status"] in (FAILED, DIVERGED):
        return
    identity = digest([record["identity"], settings])
    if stored_identity(folder / name) != identity:
        write_sealed(folder / name, {"identity": identity, **compute()})


def stored_identity(path: Path) -> str | None:
    """Return the identity in a sealed file of results; None where it is missing or damaged."""
    try:
        found: str | None = read_sealed(path).get("identity")
    except PrunebenchError:  # missing, or damaged: computed anew
        return None
    return found
