"""Where the data of a task lie, fetched and prepared, and whether they are what was written."""

from __future__ import annotations

from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.files import read_json, sha256_file
from prunebench.identity import digest
from prunebench.notes import Note
from prunebench.settings import Task

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


def damaged(task: Task, data: Path = DATA, thorough: bool = False) -> list[Path]:
    """Files of a task's data that are not what was written; what stands on them is made anew."""
    path = prepared(task, data)
    found = _prepared(path, thorough)
    if not path.exists() and task.path is None:  # else nobody reads what was fetched
        found += _fetched(task, data, thorough)
    return found


def _prepared(path: Path, thorough: bool) -> list[Path]:
    description, note = path.with_name(f"{path.name}.json"), note_prepared(path)
    if not note.path.exists():
        if not (path.exists() and description.exists()):
            return []  # not prepared yet
        if _agree(path, description):
            note.write([path, description])
    found = note.changed(thorough)
    if found:
        path.unlink(missing_ok=True)
        description.unlink(missing_ok=True)
        note.remove()
    return found


def _agree(path: Path, description: Path) -> bool:
    try:
        return bool(read_json(description)["sha256"] == sha256_file(path))
    except (PrunebenchError, OSError, KeyError, TypeError):
        return False


def _fetched(task: Task, data: Path, thorough: bool) -> list[Path]:
    note = note_fetched(data / "raw" / task.source / str(task.dataset))
    found = note.changed(thorough) if note.path.exists() else []
    if found:
        (data / "raw" / f"{task.name}.done").unlink(missing_ok=True)
    return found
