"""What of a pruned cell is removed once it is measured (``compute.keep``), and what stands for it.

A note beside the record says which files are gone and what was measured of them, so that the cell
still counts as finished, and its rows can be written again. It belongs to one record: a cell that
is computed anew has another, and the note no longer counts. Dense baselines stay whole, since
whatever is added to a grid stands on them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_sealed, remove_file, write_sealed
from prunebench.storage.hashing import digest
from prunebench.storage.layout import MASKS, PREDICTIONS, RECORD, REMOVED, WEIGHTS

# of ``compute.keep``; histories of a few bytes an epoch always stay
FILES: dict[str, tuple[str, ...]] = {
    "everything": (),
    "predictions": (WEIGHTS,),
    "records": (WEIGHTS, MASKS, PREDICTIONS),
}


def note(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """What was removed of the cell with this record: ``removed`` and, of its files, ``measured``.

    Without anything removed both are empty.
    """
    nothing: dict[str, Any] = {"removed": [], "measured": {}}
    try:
        found = read_sealed(folder / REMOVED)
    except PrunebenchError:  # there is none, or it is damaged: then files are missing
        return nothing
    return found if found.get("record") == digest(record) else nothing


def remove(
    folder: Path,
    record: dict[str, Any],
    files: Iterable[str],
    measure: Callable[[], dict[str, Any]],
) -> None:
    """Remove ``files`` of a finished cell, as far as it has them, once the note of it is written.

    ``measure`` finds what must be known of them afterwards, where they are there yet; if that is
    nothing, the cell must be computed anew when it is asked for. Raises Unwritable.
    """
    before = note(folder, record)
    gone = before["removed"]
    now = [name for name in files if name in record["files"] and name not in gone]
    if now:
        said = {"removed": [*gone, *now], "measured": measure() or before["measured"]}
        write_sealed(folder / REMOVED, {"record": digest(record), **said})
    for name in [*gone, *now]:  # those before too: the process may have ended in between
        remove_file(folder / name)


def missing(path: Path, why: object) -> str:
    """The sentence on a file of a cell that cannot be read; ``why``: what the reader said."""
    try:
        gone = path.name in note(path.parent, read_sealed(path.parent / RECORD))["removed"]
    except PrunebenchError:
        gone = False
    if not gone:
        return f"{path} is missing or damaged: {why}"
    every = f"find {shlex.quote(str(path.parents[6]))} -name {REMOVED} -delete"
    return (
        f"{path} was removed once it was measured (compute: keep). To compute it anew, remove"
        f" {REMOVED} beside it, or of all cells by `{every}`, and run again; keep: everything keeps"
        " it then"
    )
