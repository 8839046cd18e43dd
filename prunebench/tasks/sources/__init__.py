"""Sources of images: one file for each kind, found by its name.

A source is a module with ``read(task, folder) -> Raw`` and, where it can fetch its data,
``download(task, folder) -> None``. ``folder`` is where downloaded data lie; sources of local data
read ``task.path`` instead. ``check(task) -> None`` refuses settings that it cannot read, before any
data are there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, suggest
from prunebench.tasks.raw import Download, Read

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task


def names() -> list[str]:
    """Return the names of all sources, as a configuration writes them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def reader(name: str) -> Read:
    """Return the ``read`` of a source; raise PrunebenchError for an unknown one."""
    read: Read = _module(name).read
    return read


def downloader(name: str) -> Download | None:
    """Return the ``download`` of a source, None where its data are local or shipped."""
    download: Download | None = getattr(_module(name), "download", None)
    return download


def check(task: Task) -> None:
    """Refuse a task that its source cannot read whatever the data, in one line."""
    refuse: Callable[[Task], None] | None = getattr(_module(task.source), "check", None)
    if refuse is not None:
        refuse(task)


def _module(name: str) -> ModuleType:
    if name not in names():
        raise PrunebenchError(f"unknown source {name!r}{suggest(name, names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
