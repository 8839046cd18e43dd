"""Where images come from: one file per kind, found by its name.

A source is a module with ``read(task, folder) -> Raw`` and, where it can fetch its data,
``download(task, folder) -> None``. ``folder`` is where the downloaded data lies; sources of
local data read ``task.path`` instead.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from prunebench.errors import PrunebenchError, suggest
from prunebench.tasks.raw import Download, Read


def names() -> list[str]:
    """The sources that there are, as a configuration writes them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def reader(name: str) -> Read:
    """The ``read`` of a source; an unknown one raises PrunebenchError."""
    read: Read = _module(name).read
    return read


def downloader(name: str) -> Download | None:
    """The ``download`` of a source, None where its data is local or shipped."""
    download: Download | None = getattr(_module(name), "download", None)
    return download


def _module(name: str) -> ModuleType:
    if name not in names():
        raise PrunebenchError(f"unknown source {name!r}{suggest(name, names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
