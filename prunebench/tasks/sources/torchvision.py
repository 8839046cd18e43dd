"""torchvision's MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN and GTSRB, fetched or from a path.

torchvision checks the MD5 sum of everything it downloads, and of CIFAR's and SVHN's files again
whenever it reads them. It reads incomplete files of the others as if they were whole, so a manifest
of all unpacked files is checked before they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.tasks.downloads import fetch_whole, root_of
from prunebench.tasks.images import Encoded, decode
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, Split, byte_images, integer_labels, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task


@dataclass(frozen=True)
class Known:
    """How to ask one of torchvision's classes for its splits, and how large these are."""

    argument: str  # the constructor's argument that chooses the split …
    train: Any  # … its value for training …
    test: Any  # … and for testing
    sizes: tuple[int, int]
    split: Callable[[Any, Task], Split]
    names: tuple[str, ...] | None = None  # where the class itself has no ``classes``


def _arrays(data: Any, task: Task) -> Split:
    """Return the split of a data set with all images [N, H, W] or [N, H, W, C] in ``data``."""
    where = f"torchvision's {task.dataset}"
    return Split(byte_images(data.data, where), integer_labels(data.targets, where))


def _channels_first(data: Any, task: Task) -> Split:
    """Return the split of SVHN: images [N, C, H, W], labels under ``labels``."""
    where = f"torchvision's {task.dataset}"
    images = byte_images(np.transpose(data.data, (0, 2, 3, 1)), where)
    return Split(images, integer_labels(data.labels, where))


def _files(data: Any, task: Task) -> Split:
    """Return the split of GTSRB: one file for each image, of many sizes."""
    items: list[Encoded] = [(Path(file), label, file) for file, label in data._samples]
    return decode(items, len(items), task)


_DIGITS = tuple(str(digit) for digit in range(10))
_SIGNS = tuple(f"{sign:02d}" for sign in range(43))
DATASETS = {
    "CIFAR10": Known("train", True, False, (50_000, 10_000), _arrays),
    "CIFAR100": Known("train", True, False, (50_000, 10_000), _arrays),
    "MNIST": Known("train", True, False, (60_000, 10_000), _arrays, _DIGITS),
    "FashionMNIST": Known("train", True, False, (60_000, 10_000), _arrays),
    "SVHN": Known("split", "train", "test", (73_257, 26_032), _channels_first, _DIGITS),
    "GTSRB": Known("split", "train", "test", (26_640, 12_630), _files, _SIGNS),
}


def check(task: Task) -> None:
    """Refuse a task whose data set is unknown, before anything of it is looked for."""
    known_dataset(task, DATASETS)


def download(task: Task, folder: Path) -> None:
    """Download both splits into ``folder/<dataset>``, once, whole or not at all.

    Files that are no longer as they were fetched are fetched again. A task with a ``path`` is never
    downloaded.

    Raises:
        PrunebenchError: a server cannot be reached, or a checksum is wrong; to be called again
            then.
    """
    known = known_dataset(task, DATASETS)

    def fill(root: Path) -> None:
        for value in (known.train, known.test):
            _dataset(task)(root=root, download=True, **{known.argument: value})

    fetch_whole(task, folder, fill)


def read(task: Task, folder: Path) -> Raw:
    """Read from the root ``task.path`` if given, else ``folder/<dataset>``; no download.

    Raises:
        PrunebenchError: files are missing, damaged, or not of the official size.
    """
    known = known_dataset(task, DATASETS)
    root = root_of(task, folder, f"the root of {task.dataset}")
    splits = []
    names = known.names
    for value, size in zip((known.train, known.test), known.sizes, strict=True):
        try:
            data = _dataset(task)(root=root, download=False, **{known.argument: value})
        except Exception as error:  # what its readers raise for damaged bytes is no closed set
            raise PrunebenchError(
                f"task {task.name!r}: {task.dataset} in {root} is missing or damaged: "
                f"{one_line(error)}"
            ) from error
        split = known.split(data, task)
        if not len(split.inputs) == len(split.targets) == size:
            raise PrunebenchError(
                f"task {task.name!r}: {task.dataset} in {root} has {len(split.inputs)} images and "
                f"{len(split)} labels in a split of {size}: delete it and get it again"
            )
        names = names or tuple(str(name) for name in data.classes)
        splits.append(split)
    return Raw(splits[0], test=splits[1], names=names)


def _dataset(task: Task) -> Any:
    """Return torchvision's class; imported late, since that takes seconds."""
    import torchvision.datasets

    return getattr(torchvision.datasets, str(task.dataset))
