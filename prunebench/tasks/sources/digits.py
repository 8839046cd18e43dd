"""scikit-learn's digits: 1,797 grey images of 8×8 pixels, 10 classes, shipped with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunebench.tasks.raw import Raw, Split

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task


def read(task: Task, folder: Path) -> Raw:
    """Return all images as one training split: there is no official test split. Read no file."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # the pixels are 0..16
    train = Split(images[..., None], digits.target.astype(np.int64))
    return Raw(train, names=tuple(str(name) for name in digits.target_names))
