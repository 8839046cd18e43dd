"""MedMNIST: one ``.npz`` with ``<split>_images`` and ``<split>_labels`` for train, val, test."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.tasks.raw import (
    Raw,
    Split,
    byte_images,
    check_fits,
    integer_labels,
    local_path,
    one_line,
)

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task


def read(task: Task, folder: Path) -> Raw:
    """Read the file that ``task.path`` names.

    Pickled objects are refused, since they could run code.

    Raises:
        PrunebenchError: the file is damaged, has no training split, or holds volumes or several
            labels for an image.
    """
    path = local_path(task, "a MedMNIST .npz file")
    try:
        with path.open(
            "rb"
        ) as file:  # opened here: numpy does not close a file that it cannot read
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise PrunebenchError(f"{path} is no readable .npz file: it is a single array")
            with arrays:
                assert arrays.zip is not None
                check_fits(sum(item.file_size for item in arrays.zip.infolist()), str(path))
                splits = {name: _split(arrays, name, path) for name in ("train", "val", "test")}
    except PrunebenchError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise PrunebenchError(f"{path} is no readable .npz file: {one_line(error)}") from error
    train = splits["train"]
    if train is None:
        raise PrunebenchError(f"{path} has no train_images")
    return Raw(train, splits["val"], splits["test"])


def _split(arrays: np.lib.npyio.NpzFile, name: str, path: Path) -> Split | None:
    if f"{name}_images" not in arrays:
        return None
    if f"{name}_labels" not in arrays:
        raise PrunebenchError(f"{path} has {name}_images but no {name}_labels")
    images = byte_images(arrays[f"{name}_images"], f"{path}, {name}_images")
    labels = arrays[f"{name}_labels"]
    if labels.ndim == 2 and labels.shape[1] == 1:  # MedMNIST writes a column
        labels = labels[:, 0]
    return Split(images, integer_labels(labels, f"{path}, {name}_labels"))
