"""Data sets that a source knows by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from prunebench.errors import PrunebenchError, suggest

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

Known = TypeVar("Known")


def known_dataset(task: Task, datasets: Mapping[str, Known]) -> Known:
    """Return what a source knows of the task's ``dataset``; raise PrunebenchError if nothing."""
    asked = task.dataset or ""
    if asked not in datasets:
        raise PrunebenchError(
            f"task {task.name!r}: unknown dataset {asked!r}{suggest(asked, datasets)}"
        )
    return datasets[asked]
