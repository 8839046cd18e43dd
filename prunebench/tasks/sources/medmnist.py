"""MedMNIST: one ``.npz`` with ``<split>_images`` and ``<split>_labels`` for train, val, test.

``dataset`` names one of its sets of images with a single label each (Yang 2023; 28×28 pixels; CC BY
4.0, DermaMNIST CC BY-NC 4.0), which is fetched from Zenodo with the sums that MedMNIST publishes;
``path:`` is such a file of one's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
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

_ZENODO = "https://zenodo.org/records/10519652/files"


@dataclass(frozen=True)
class Known:
    """The MD5 sum that MedMNIST publishes of a file, and the names of the classes."""

    md5: str
    names: tuple[str, ...]


DATASETS = {
    "pneumoniamnist": Known("28209eda62fecd6e6a2d98b1501bb15f", ("normal", "pneumonia")),
    "breastmnist": Known("750601b1f35ba3300ea97c75c52ff8f6", ("malignant", "normal, benign")),
    "dermamnist": Known(
        "0744692d530f8e62ec473284d019b0c7",
        (
            "actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma",
            "benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi",
            "vascular lesions",
        ),
    ),
    "bloodmnist": Known(
        "7053d0359d879ad8a5505303e11de1dc",
        (
            "basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte",
            "monocyte", "neutrophil", "platelet",
        ),
    ),
}  # fmt: skip


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, or of none and no path to a file."""
    if task.dataset is None:
        local_path(task, "a MedMNIST .npz file")
    else:
        known_dataset(task, DATASETS)


def download(task: Task, folder: Path) -> None:
    """Download a data set into ``folder/<dataset>``, once, whole or not at all.

    Raises:
        PrunebenchError: the server cannot be reached, or the checksum is wrong.
    """
    if task.dataset is not None:
        name = f"{task.dataset}.npz"
        url = f"{_ZENODO}/{name}?download=1"
        fetch(task, folder, [Remote(url, "md5", known_dataset(task, DATASETS).md5, name)])


def read(task: Task, folder: Path) -> Raw:
    """Read the file that ``task.path`` names, or the one that was downloaded.

    Pickled objects are refused, since they could run code.

    Raises:
        PrunebenchError: the file is damaged, has no training split, or holds volumes or several
            labels for an image.
    """
    if task.dataset is None or task.path is not None:
        path = local_path(task, "a MedMNIST .npz file")
    else:
        path = root_of(task, folder, "a MedMNIST .npz file") / f"{task.dataset}.npz"
    names = None if task.dataset is None else known_dataset(task, DATASETS).names
    require_plain(path)
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
    # encrypted: RuntimeError; damaged: whatever the decoder of its compression raises
    except Exception as error:
        raise PrunebenchError(f"{path} is no readable .npz file: {one_line(error)}") from error
    train = splits["train"]
    if train is None:
        raise PrunebenchError(f"{path} has no train_images")
    return Raw(train, splits["val"], splits["test"], names)


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
