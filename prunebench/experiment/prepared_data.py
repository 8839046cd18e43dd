"""Where the data of a task lie, fetched and prepared, and whether they are what was written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.experiment.settings import Task
from prunebench.storage.files import read_json, remove_file, sha256_file
from prunebench.storage.hashing import digest
from prunebench.storage.manifest import Note

DATA = Path("data")


def prepared(task: Task, data: Path = DATA) -> Path:
    """Where a task's tensors lie; the name changes with the task's settings."""
    named = digest(task.model_dump(exclude={"name"}))[:8]
    return data / "prepared" / f"{task.name}-{named}.safetensors"


def note_prepared(path: Path) -> Note:
    """What is noted of a prepared file and of the description beside it."""
    return Note(path.with_name(f"{path.name}.note.json"), path.parent)


def note_fetched(folder: Path) -> Note:
    """What is noted of the files of a data set, in the folder that they were fetched into."""
    return Note(folder / "note.json", folder)


def damaged(task: Task, data: Path = DATA, thorough: bool = False, mend: bool = True) -> list[Path]:
    """Files of a task's data that are not what was written.

    They go, so that they are made anew where they are needed; none without ``mend``. Raises
    Unwritable where they cannot.
    """
    path = prepared(task, data)
    found = _prepared(path, thorough, mend)
    if not path.exists() and task.path is None:  # else nobody reads what was fetched
        found += _fetched(task, data, thorough, mend)
    return found


def _prepared(path: Path, thorough: bool, mend: bool) -> list[Path]:
    description, note = path.with_name(f"{path.name}.json"), note_prepared(path)
    if note.path.exists():
        found = note.changed(thorough)
    elif path.exists() and description.exists():
        found = [] if _agree(path, description) else [path]
        if mend and not found:
            with suppress(Unwritable):  # they are looked at again then
                note.write([path, description])
    else:
        found = []  # not prepared yet
    if found and mend:
        remove_file(path)
        remove_file(description)
        note.remove()
    return found


def _agree(path: Path, description: Path) -> bool:
    try:
        return bool(read_json(description)["sha256"] == sha256_file(path))
    except (PrunebenchError, OSError, KeyError, TypeError):
        return False


def _fetched(task: Task, data: Path, thorough: bool, mend: bool) -> list[Path]:
    found = note_fetched(data / "raw" / task.source / str(task.dataset)).changed(thorough)
    if found and mend:
        remove_file(data / "raw" / f"{task.name}.done")
    return found
