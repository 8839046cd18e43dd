"""A folder of images: ``train/<class>/*.png``, and ``val/`` and ``test/`` likewise if they exist.

A folder whose subfolders are the classes themselves is all training. The classes are the names of
the training subfolders in alphabetical order (so ``10`` comes before ``2``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, suggest
from prunebench.tasks.images import SUFFIXES, Encoded, decode
from prunebench.tasks.raw import Raw, Split, local_path

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

_TINY = "; is this Tiny ImageNet? then source: tiny-imagenet"


def read(task: Task, folder: Path) -> Raw:
    """Read every image below ``task.path``.

    Raises:
        PrunebenchError: a folder is missing or empty, another split has an unknown class, or an
            image cannot be decoded or has another size than the rest (see ``image_size``).
    """
    root = local_path(task, "a folder with train/<class>/<image>")
    if not root.is_dir():
        raise PrunebenchError(f"{root} is no folder; path: must hold train/<class>/<image>")
    train = root / "train" if (root / "train").is_dir() else root
    names = tuple(entry.name for entry in _entries(train) if entry.is_dir())
    if not names:
        raise PrunebenchError(f"{train} has no subfolders; each class is a folder of images")
    others = {
        name: _split(root / name, names, task)
        for name in ("val", "test")
        if train != root and (root / name).is_dir()
    }
    return Raw(_split(train, names, task), others.get("val"), others.get("test"), names)


def _split(folder: Path, names: tuple[str, ...], task: Task) -> Split:
    files: list[Encoded] = []
    for entry in _entries(folder):
        if not entry.is_dir():
            continue
        if entry.name not in names:
            known = _TINY if entry.name == "images" else suggest(entry.name, names)
            raise PrunebenchError(f"{entry}: no class {entry.name!r} in training{known}")
        found = [path for path in _entries(entry) if path.suffix.lower() in SUFFIXES]
        if not found:
            layout = _TINY if (entry / "images").is_dir() else ""
            raise PrunebenchError(f"{entry} holds no image ({', '.join(SUFFIXES)}){layout}")
        files += [(path, names.index(entry.name), str(path)) for path in found]
    return decode(files, len(files), task)


def _entries(folder: Path) -> list[Path]:
    """Return what a folder holds but hidden files, in an order that no file system changes."""
    visible = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(visible, key=lambda entry: entry.name)
