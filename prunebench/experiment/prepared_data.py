"""The data of a task on disk: where they lie, and whether they are as they were written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.experiment.settings import Task
from prunebench.storage.files import read_json, remove_file, sha256_file
from prunebench.storage.hashing import digest
from prunebench.storage.layout import DATA, fetched
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

    What stands on them is removed, so that it is fetched or prepared again where it is needed.

    Args:
        task: whose data.
        data: the folder of all tasks' data.
        thorough: read every file, instead of trusting lengths and times.
        mend: remove files; without it nothing is touched.

    Raises:
        Unwritable: a file cannot be removed.
    """
    path = prepared(task, data)
    description, manifest = path.with_name(f"{path.name}.json"), prepared_manifest(path)
    found = manifest.damaged(thorough)
    if not manifest.path.exists() and path.exists() and description.exists():
        # prepared by an earlier version, or killed just before: the description has a hash too
        found = [] if _agree(path, description) else [path]
        if mend and not found:
            with suppress(Unwritable):  # then they are compared again next time
                manifest.write([path, description])
    if found and mend:
        remove_file(path)
        remove_file(description)
        manifest.remove()
    if not path.exists() and task.path is None:  # else nobody reads what was fetched
        folder = data / "raw" / task.source / str(task.dataset)
        damaged_raw = fetched_manifest(folder).damaged(thorough)
        if damaged_raw and mend:
            remove_file(fetched(task.name, data))
        found += damaged_raw
    return found


def _agree(path: Path, description: Path) -> bool:
    try:
        return bool(read_json(description)["sha256"] == sha256_file(path))
    except (PrunebenchError, OSError, KeyError, TypeError):
        return False
