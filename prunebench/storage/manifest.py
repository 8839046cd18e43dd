"""Manifests: which files were written, with their hashes, and which are missing on purpose.

A manifest is a sealed JSON file with an entry ``files``. There are three kinds of it:

- ``record.json`` of a cell: ``{name: SHA-256}``;
- ``jobs/noted/<step>.json`` of what a step makes of the records: ``{name: [bytes, SHA-256]}``;
- the note beside fetched or prepared data, in the same form.

Every file is on the disk before its manifest is written. So a file of the right length that is not
newer than its manifest counts as unchanged; ``thorough`` reads every file, for a disk that may have
failed.

Files of a pruned cell are removed once they are measured, where ``compute.keep`` says so.
``removed.json`` beside the record then lists them and holds what was measured of them, so that the
cell still counts as finished and its rows can be written again. It counts for one record only: a
cell that is computed again has another one. Dense baselines stay whole, since whatever is added to
a grid needs them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_sealed, remove_file, sha256_file, write_sealed
from prunebench.storage.hashing import digest
from prunebench.storage.layout import RECORD, REMOVED

Entries = dict[str, tuple[int | None, str]]  # name -> (bytes, where they are listed, and SHA-256)


@dataclass(frozen=True)
class Manifest:
    """The manifest at ``path`` of files below the folder ``root``."""

    path: Path
    root: Path

    @classmethod
    def of_cell(cls, folder: Path) -> Manifest:
        """Return the manifest of a cell: its record."""
        return cls(folder / RECORD, folder)

    def begin(self) -> None:
        """Say that the files are being written: none of them is trusted until ``write`` is called.

        Raises:
            Unwritable: the disk is full, or the folder may not be written.
        """
        write_sealed(self.path, {"files": None})

    def write(self, files: Iterable[Path]) -> None:
        """List files as they are now.

        Args:
            files: paths below ``root``.

        Raises:
            Unwritable: the disk is full, or the folder may not be written.
        """
        entries = {
            path.relative_to(self.root).as_posix(): [path.stat().st_size, sha256_file(path)]
            for path in files
        }
        write_sealed(self.path, {"files": entries})

    def listed(self) -> set[Path] | None:
        """Return the files that are listed.

        Returns:
            The files; an empty set where the manifest is missing or damaged; None where the files
            were still being written when their writer ended.
        """
        try:
            entries = self._read()
        except PrunebenchError:
            return set()
        return None if entries is None else {self.root / name for name in entries}

    def damaged(self, thorough: bool = False, absent: Collection[str] = ()) -> list[Path]:
        """Return the files that are missing or not as they were written.

        Args:
            thorough: read every file, instead of trusting lengths and times.
            absent: names of files that may be missing.

        Returns:
            The files; the manifest itself where it is damaged; nothing where there is none.
        """
        if not self.path.exists():
            return []
        try:
            entries, written = self._read() or {}, self.path.stat().st_mtime_ns
        except PrunebenchError:
            return [self.path]
        since = None if thorough else written
        return [
            self.root / name
            for name, (size, sha) in entries.items()
            if name not in absent and not _as_listed(self.root / name, size, sha, since)
        ]

    def remove(self) -> None:
        """Delete the manifest, so that nothing is said of its files.

        Raises:
            Unwritable: the folder may not be written.
        """
        if self.path.exists():  # on a read-only disk deleting nothing would fail too
            remove_file(self.path)

    def _read(self) -> Entries | None:
        """Return the entries, None where the files were being written.

        Raises:
            PrunebenchError: the manifest is missing or damaged.
        """
        try:
            files = read_sealed(self.path)["files"]
            if files is None:
                return None
            entries = {}
            for name, value in files.items():
                size, sha = (None, value) if isinstance(value, str) else value
                if not is_below(name):
                    raise ValueError(name)
                entries[name] = size, sha
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PrunebenchError(f"{self.path} is missing or damaged") from error
        return entries


def is_below(name: str) -> bool:
    """Return whether a name in a manifest is of a file below its folder, as they are written."""
    path = Path(name)
    return (
        path.name != "" and "\0" not in name and not path.is_absolute() and ".." not in path.parts
    )


def _as_listed(path: Path, size: int | None, sha: str, since: int | None) -> bool:
    """Return whether a file is as listed; not newer than ``since`` (ns), it needs no reading."""
    try:
        found = path.stat()
        if size not in (None, found.st_size):
            return False
        unchanged = since is not None and found.st_mtime_ns <= since
        return unchanged or sha256_file(path) == sha
    except (OSError, PrunebenchError):
        return False


class Removal(TypedDict):
    """Files that were removed from a cell on purpose, and what was measured of them."""

    removed: list[str]  # names of files
    measured: dict[str, Any]  # empty: the cell must be computed anew when it is asked for


def removal(folder: Path, record: dict[str, Any]) -> Removal:
    """Return what was removed of the cell in ``folder`` with this record; empty for nothing."""
    try:
        found = read_sealed(folder / REMOVED)
    except PrunebenchError:  # there is none, or it is damaged: then the files are simply missing
        found = {}
    names = found.get("removed")
    ours = isinstance(names, list) and all(
        isinstance(name, str) and is_below(name) and Path(name).name == name for name in names
    )  # else another's: a name is of a file beside the record
    if not ours or found.get("record") != digest(record):
        return {"removed": [], "measured": {}}
    return cast("Removal", found)


def remove_files(
    folder: Path,
    record: dict[str, Any],
    names: Iterable[str],
    measure: Callable[[], dict[str, Any]],
) -> None:
    """Remove files of a finished cell, once what was measured of them is on the disk.

    Args:
        folder: the cell's.
        record: the cell's.
        names: of the files; those that the cell does not have are passed over.
        measure: finds, while they are still there, what must be known of the files. If that is
            nothing, the cell must be computed anew when it is asked for.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
    """
    before = removal(folder, record)
    removed = before["removed"]
    new = [name for name in names if name in record["files"] and name not in removed]
    if new:
        now: Removal = {"removed": [*removed, *new], "measured": measure() or before["measured"]}
        write_sealed(folder / REMOVED, {"record": digest(record), **now})
    for name in [*removed, *new]:  # those before too: the process may have ended in between
        remove_file(folder / name)


def unreadable(path: Path, why: object) -> str:
    """Return the message on a file of a cell that cannot be read.

    Args:
        path: of the file.
        why: what its reader said, or what to do.
    """
    try:
        removed = path.name in removal(path.parent, read_sealed(path.parent / RECORD))["removed"]
    except PrunebenchError:
        removed = False
    if not removed:
        return f"{path} is missing or damaged: {why}"
    every = f"find {shlex.quote(str(path.parents[6]))} -name {REMOVED} -delete"
    return (
        f"{path} was removed once it was measured (compute: keep). To compute it again, remove"
        f" {REMOVED} beside it, or of all cells by `{every}`, and run again; keep: everything keeps"
        " it then"
    )
