"""Data of others, prepared as a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def prepared(folder: Path, **changes: Any) -> Callable[[], None]:
    """Return what prepares a task in a folder, as the command does.

    Args:
        folder: where it is written.
        changes: settings of the task.
    """
    from prunebench.experiment.settings import Task
    from prunebench.tasks.prepare import prepare

    task = Task(**{"name": "mine", "val": 2, "test": 2, **changes})
    return lambda: prepare(task, folder / "raw", folder / "prepared.safetensors")
