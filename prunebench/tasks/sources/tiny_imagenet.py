"""Tiny ImageNet as it is distributed (tiny-imagenet-200): 200 classes, 64×64 pixels, in colour.

``train/<class>/images/*.JPEG``; ``val/images/`` with the classes in ``val/val_annotations.txt``.
The labels of its test images were never published, so its validation images are the test set, as
in the literature, and validation comes out of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, suggest
from prunebench.storage.files import require_plain
from prunebench.tasks.images import Encoded, decode
from prunebench.tasks.raw import Raw, Split, local_path

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

WHAT = "the unpacked folder tiny-imagenet-200, from cs231n.stanford.edu/tiny-imagenet-200.zip"


def check(task: Task) -> None:
    """Refuse a task without a path to the data: they are not downloaded."""
    local_path(task, WHAT)


def read(task: Task, folder: Path) -> Raw:
    """Read the folder that ``task.path`` names; classes in alphabetical order, in colour.

    Raises:
        PrunebenchError: a folder is missing or empty, the annotations name another class or
            image, or an image cannot be decoded.
    """
    root = local_path(task, WHAT)
    classes = sorted(path for path in (root / "train").glob("*") if path.is_dir())
    if not classes:
        raise PrunebenchError(f"{root / 'train'} holds no folder of a class; path: must be {WHAT}")
    names = tuple(path.name for path in classes)
    colour = task if task.mode != "native" else task.model_copy(update={"mode": "rgb"})
    train: list[Encoded] = [
        (path, label, str(path))
        for label, home in enumerate(classes)
        for path in _images(home / "images")
    ]
    return Raw(_split(train, colour), test=_split(_annotated(root / "val", names), colour),
               names=names)  # fmt: skip


def _images(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.JPEG"))
    if not found:
        raise PrunebenchError(f"{folder} holds no .JPEG image; path: must be {WHAT}")
    return found


def _annotated(folder: Path, names: tuple[str, ...]) -> list[Encoded]:
    """Return the images that the annotations list: file, class and a box, separated by tabs."""
    table = folder / "val_annotations.txt"
    require_plain(table)
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PrunebenchError(f"{table} cannot be read; path: must be {WHAT}") from error
    known = {path.name: path for path in _images(folder / "images")}
    labels = {name: label for label, name in enumerate(names)}
    found: list[Encoded] = []
    for number, line in enumerate(lines, start=1):
        file, _, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if name not in labels:
            raise PrunebenchError(
                f"{table} line {number}: no class {name!r} in training{suggest(name, names)}"
            )
        if file not in known:
            raise PrunebenchError(f"{table} line {number}: {folder / 'images'} has no {file!r}")
        found.append((known.pop(file), labels[name], str(folder / "images" / file)))
    if known:
        raise PrunebenchError(f"{table} says nothing of {len(known)} images, such as {min(known)}")
    return found


def _split(files: list[Encoded], task: Task) -> Split:
    return decode(files, len(files), task)
