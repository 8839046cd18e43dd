"""Data as a source delivers them: whole official splits as arrays, before anything is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.memory import gib, memory

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

COPIES = 3  # of the pixels at once, when a data set is prepared: measured
Array = NDArray[Any]
Images = NDArray[np.uint8]  # [N, H, W, C], 0..255, C is 1 or 3
Labels = NDArray[np.int64]  # [N]

Read = Callable[["Task", Path], "Raw"]
Download = Callable[["Task", Path], None]


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and their targets, in the order of the source.

    Inputs: pixels uint8 [N, H, W, C], features float32 [N, F], tokens int32 [N, L] (0 pads at the
    end) or pairs int32 [N, 2]. Targets: classes int64 [N], values float32 [N], tokens int32 [N, L]
    (0 does not count) or boxes float32 [N, M, 5] (x1, y1, x2, y2, class; class -1 pads).
    """

    inputs: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class Raw:
    """The official splits; ``names`` are those of the classes, where the source knows them.

    ``facts`` are what else a network or a measure must know, as JSON can say it: the texts of the
    tokens (``vocabulary``, the first is the padding), the number of ``users`` and ``items``.
    """

    train: Split
    val: Split | None = None
    test: Split | None = None
    names: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    item: str = "image"  # a single input, for messages
    form: str | None = None  # of the inputs, where their type alone does not say it

    def splits(self) -> dict[str, Split]:
        """Return the splits that there are, by name."""
        every = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in every.items() if split is not None}


def local_path(task: Task, what: str) -> Path:
    """Return where the user says the data lie, relative to the working directory.

    Args:
        task: with its ``path``.
        what: should be there, for messages.

    Raises:
        PrunebenchError: the task names no path, or nothing is there.
    """
    if task.path is None:
        raise PrunebenchError(f"task {task.name!r}: source {task.source!r} needs path: {what}")
    path = Path(task.path).expanduser()
    if not path.exists():
        raise PrunebenchError(f"task {task.name!r}: {path} does not exist; path: must be {what}")
    return path


def check_fits(size: int, where: str, remedy: str = "") -> None:
    """Refuse data that this machine's memory cannot hold, before they are decoded.

    A small file may claim to be huge.

    Args:
        size: bytes of the decoded data.
        where: the file and row, for the message.
        remedy: what makes such data smaller, where a setting does.

    Raises:
        PrunebenchError: they do not fit.
    """
    if COPIES * size > memory():
        raise PrunebenchError(
            f"{where}: decoded and prepared, this would take {gib(COPIES * size)} GiB of memory,"
            f" and there are {gib(memory())}; is the file what it should be?"
            f"{remedy and f' {remedy}'}"
        )


def one_line(error: BaseException) -> str:
    """Return the text of another library's error on one line of reasonable length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 300 else f"{words[:300]} …"


def integer_labels(values: Any, where: str) -> Labels:
    """Return labels as int64 [N]; raise PrunebenchError for any other kind than whole numbers."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise PrunebenchError(
            f"{where}: labels must be one whole number each, got {array.dtype} "
            f"of shape {list(array.shape)}"
        )
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise PrunebenchError(f"{where}: label {array.max()} is out of range")
    return array.astype(np.int64)


def byte_images(values: Any, where: str) -> Images:
    """Return [N, H, W] or [N, H, W, 1|3] as uint8 [N, H, W, C]; else raise PrunebenchError."""
    array = np.asarray(values)
    if array.ndim == 3:
        array = array[..., None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3):
        raise PrunebenchError(
            f"{where}: images must be uint8 of shape [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            f"got {array.dtype} of shape {list(np.shape(values))}"
        )
    return array
