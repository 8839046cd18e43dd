"""The data of a task on disk: where they lie, and whether they are as they were written.

Experiments of one checkout share them: they are replaced in one step, never removed first. Of data
of the user's own, the files they were prepared from are noted, so that other ones are noticed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.settings import Task
from prunebench.storage.files import read_json, read_sealed, sha256_file, write_sealed
from prunebench.storage.hashing import digest
from prunebench.storage.layout import DATA
from prunebench.storage.manifest import Manifest


def prepared(task: Task, data: Path = DATA) -> Path:
    """Return the path of a task's prepared tensors; its name changes with the task's settings."""
    named = digest(task.settings())[:8]
    return data / "prepared" / f"{task.name}-{named}.safetensors"


def prepared_manifest(path: Path) -> Manifest:
    """Return the manifest of the prepared file at ``path`` and of the description beside it."""
    return Manifest(path.with_name(f"{path.name}.note.json"), path.parent)


def fetched_manifest(folder: Path) -> Manifest:
    """Return the manifest of the files of a data set that were fetched into ``folder``."""
    return Manifest(folder / "note.json", folder)


def damaged(task: Task, data: Path = DATA, thorough: bool = False, mend: bool = True) -> list[Path]:
    """Return files of a task's data that are missing or not as they were written.

    Nothing is removed: another experiment may train on them. ``usable`` says that they must be
    prepared again, and what is prepared again takes their place in one step.

    Args:
        task: whose data.
        data: the folder of all tasks' data.
        thorough: read every file, instead of trusting lengths and times.
        mend: note hashes that are not noted; without it nothing is touched.
    """
    path = prepared(task, data)
    description, manifest = path.with_name(f"{path.name}.json"), prepared_manifest(path)
    found = manifest.damaged(thorough)
    noted = manifest.path.exists() and manifest.path not in found
    if not noted and path.exists() and description.exists():
        # prepared by an earlier version, or killed just before: the description has a hash too
        if not _agree(path, description):
            found.append(path)
        elif mend:
            with suppress(Unwritable):  # then they are compared again next time
                manifest.write([path, description])
    if not path.exists() and task.path is None:  # else nobody reads what was fetched
        found += damaged_downloads(task, data, thorough)
    return found


def damaged_downloads(task: Task, data: Path = DATA, thorough: bool = False) -> list[Path]:
    """Return fetched files of a task that are missing or not as they were fetched."""
    folder = data / "raw" / task.source / str(task.dataset)
    return fetched_manifest(folder).damaged(thorough)


def usable(task: Task, data: Path = DATA) -> bool:
    """Return whether a task's data are prepared, whole, and of the source as it is now.

    What a function of one's own returns is not known before it is called: never.
    """
    path = prepared(task, data)
    if task.path is not None and OwnCode.named(task.path) is not None:
        return False
    there = path.exists() and path.with_name(f"{path.name}.json").exists()
    if not there or damaged(task, data):
        return False
    source = LocalSource.of(task, data)
    return source is None or (source.note.exists() and not source.changes())


def changed(task: Task, data: Path = DATA) -> str:
    """Return the message that the source of prepared data was changed since; "" if it was not."""
    source = LocalSource.of(task, data)
    names = source.changes() if source and prepared(task, data).exists() else []
    if not names:
        return ""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return (
        f"task {task.name!r}: the data in {task.path} changed since they were prepared"
        f" ({names[0]}{more}): prepared again"
    )


@dataclass(frozen=True)
class LocalSource:
    """Files of the user's that a task is prepared from, and the note of how they were then."""

    root: Path
    note: Path

    @classmethod
    def of(cls, task: Task, data: Path = DATA) -> LocalSource | None:
        """Return the source of a task; None where no files of the user's are read."""
        if task.path is None or OwnCode.named(task.path) is not None:
            return None
        path = prepared(task, data)
        return cls(Path(task.path).expanduser(), path.with_name(f"{path.name}.source.json"))

    def look(self) -> dict[str, list[Any]]:
        """Return bytes, two times (ns) and SHA-256 of each file, by its name below the root.

        The times are those of its content and of its entry: whoever exchanges a file for one of the
        same length and time cannot set the latter.
        """
        return {name: [*seen, _hash(path)] for name, (path, seen) in self._files().items()}

    def changes(self) -> list[str]:
        """Return names of files that are new, gone or of other content than was noted.

        Only a file of the same length and other times is read. Without a note nothing is known.
        """
        try:
            noted = read_sealed(self.note)
        except PrunebenchError:
            return []
        there, found, read = self._files(), [], {}
        for name in sorted({*noted, *there}):
            before, now = noted.get(name), there.get(name)
            # an earlier version noted one time
            if not isinstance(before, list) or len(before) not in (3, 4) or now is None:
                found.append(name)
            elif before[:-1] != now[1][: len(before) - 1]:
                read[name] = [*now[1], before[-1]]
                if before[0] != now[1][0] or _hash(now[0]) != before[-1]:
                    found.append(name)
        if read and not found:  # copied or touched: not to be read again each time
            with suppress(Unwritable):
                write_sealed(self.note, noted | read)
        return found

    def _files(self) -> dict[str, tuple[Path, list[int]]]:
        """Return path, and bytes and times, of each file; hidden ones are no data."""
        found: dict[str, tuple[Path, list[int]]] = {}
        if not self.root.is_dir():
            if self.root.is_file():
                found[_text(Path(self.root.name))] = self.root, _seen(self.root)
            return found
        walked: set[tuple[int, int]] = set()  # links may lead round in a circle
        for folder, inner, names in os.walk(self.root, followlinks=True):
            stat = Path(folder).stat()
            if (stat.st_dev, stat.st_ino) in walked:
                inner.clear()
                continue
            walked.add((stat.st_dev, stat.st_ino))
            inner[:] = [name for name in inner if not name.startswith(".")]
            for path in (Path(folder, name) for name in names if not name.startswith(".")):
                with suppress(OSError):
                    found[_text(path.relative_to(self.root))] = path, _seen(path)
        return found


def _text(path: Path) -> str:
    """Return a name as JSON takes it: a file's may be no UTF-8."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _seen(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _hash(path: Path) -> str:
    try:
        return sha256_file(path)
    except (OSError, PrunebenchError):  # whoever reads the data is told
        return ""


def _agree(path: Path, description: Path) -> bool:
    try:
        return bool(read_json(description)["sha256"] == sha256_file(path))
    except (PrunebenchError, OSError, KeyError, TypeError):
        return False
