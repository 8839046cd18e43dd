"""Prepare a task: check, split and resize what its source reads, write one file. Without torch.

The file (safetensors) holds ``<split>_images`` uint8 [N, C, H, W] and ``<split>_labels`` int64 [N]
for train, val and test; ``<file>.json`` beside it describes it. The same input gives the same
bytes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.storage.files import replacing, sha256_file, write_json
from prunebench.tasks import sources
from prunebench.tasks.images import fit
from prunebench.tasks.raw import Images, Raw, Split
from prunebench.tasks.stratified import Integers, permuter, stratified
from prunebench.text.numbers import first_few, listed

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SPLITS = ("train", "val", "test")
TITLES = {"train": "training", "val": "validation", "test": "test"}
Parts = dict[str, tuple[Split, Integers]]  # split -> (where it comes from, positions in that)


def sidecar(target: Path) -> Path:
    """Return the path of a prepared file's description, written last to vouch for the file."""
    return target.with_name(f"{target.name}.json")


def prepare(task: Task, folder_raw: Path, target: Path) -> None:
    """Write the prepared file of a task, and its description.

    Args:
        task: the source, sizes of the splits, channels and size of the images.
        folder_raw: where ``download`` put the data; local sources do not use it.
        target: the file to write.

    Raises:
        PrunebenchError: data are missing, damaged, mislabelled, all alike, or too few for the sizes
            asked.
    """
    target = Path(target)
    raw = sources.reader(task.source)(task, Path(folder_raw))
    names = check(raw, task)
    parts = split(raw, task)
    _check_classes(parts, names, task)
    tensors: dict[str, NDArray[Any]] = {}
    for name, (origin, chosen) in parts.items():
        whole = len(chosen) == len(origin)  # without a copy where nothing is left out
        images = fit(origin.images if whole else origin.images[chosen], task)
        tensors[f"{name}_images"] = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        tensors[f"{name}_labels"] = np.ascontiguousarray(origin.labels[chosen])
    shapes = {name: tensors[f"{name}_images"].shape[1:] for name in SPLITS}
    if len(set(shapes.values())) > 1:
        shown = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise PrunebenchError(
            f"task {task.name!r}: the splits differ in shape [C, H, W]: {shown}; "
            "set image_size: and mode:"
        )
    first = tensors["train_images"][0]
    if all(np.array_equal(image, first) for image in tensors["train_images"]):
        raise PrunebenchError(
            f"task {task.name!r}: all {len(tensors['train_images'])} training images are the same,"
            " pixel by pixel: nothing can be learned from them"
        )
    sizes = {name: len(tensors[f"{name}_labels"]) for name in SPLITS}
    del raw, parts
    _write(tensors, target)
    mean, std = moments(tensors["train_images"])
    described = task.model_dump(mode="json", exclude={"name", "augmentation"})
    description = {
        "sha256": sha256_file(target),
        "sizes": sizes,
        "classes": list(names),
        "shape": [int(length) for length in shapes["train"]],
        "mean": mean,
        "std": std,
        "source": described,
    }
    write_json(sidecar(target), description)


def check(raw: Raw, task: Task) -> tuple[str, ...]:
    """Return the names of the classes.

    Labels must be 0..K-1, with K the number of names, or without names one more than the largest
    training label. Training must show every class.

    Raises:
        PrunebenchError: a split of the source is empty or mislabelled.
    """
    for name, part in raw.splits().items():
        if len(part) == 0:
            raise PrunebenchError(f"task {task.name!r}: the {name} split of the source is empty")
        if len(part.images) != len(part.labels):
            raise PrunebenchError(
                f"task {task.name!r}: the {name} split has {len(part.images)} images "
                f"but {len(part.labels)} labels"
            )
        if 0 in part.images.shape:
            raise PrunebenchError(f"task {task.name!r}: the {name} split has images of no size")
    classes = len(raw.names) if raw.names else int(raw.train.labels.max()) + 1
    for name, part in raw.splits().items():
        outside = np.flatnonzero((part.labels < 0) | (part.labels >= classes))
        if len(outside):
            raise PrunebenchError(
                f"task {task.name!r}: {name} label {part.labels[outside[0]]} of image {outside[0]} "
                f"is out of range: {classes} classes are labelled 0 to {classes - 1}"
            )
    present = np.unique(raw.train.labels)
    if len(present) < classes:
        absent = next(label for label in range(classes) if label not in present)
        raise PrunebenchError(
            f"task {task.name!r}: no training image of class {absent}, "
            f"though labels go from 0 to {classes - 1}"
        )
    if classes < 2:
        raise PrunebenchError(f"task {task.name!r}: one class only; classifying needs two")
    return raw.names or tuple(str(label) for label in range(classes))


def split(raw: Raw, task: Task) -> Parts:
    """Choose disjoint, stratified train, val and test positions, seeded by ``split_seed``.

    Test and validation come from the source's own splits where it has them (a count takes that
    many, a share of validation takes all), else out of training. Each split has its own random
    order, test first, so that another size of training leaves the test set as it is. Every class
    is in every split where it has the images for it.

    Raises:
        PrunebenchError: a split would be empty, or more images are asked than there are.
    """
    rest = np.arange(len(raw.train), dtype=np.int64)
    waiting = 1 + (raw.test is None) + (raw.val is None)  # splits still to come out of training
    parts: Parts = {}
    for stream, (name, own, wanted) in enumerate(
        (("test", raw.test, task.test), ("val", raw.val, task.val))
    ):
        if own is not None:
            pool = np.arange(len(own), dtype=np.int64)
            count = len(own) if wanted is None or isinstance(wanted, float) else wanted
            chosen = _take(own, pool, count, name, stream, task)
            parts[name] = own, chosen
        else:
            waiting -= 1
            count = _count(wanted, name, len(rest), task)
            chosen = _take(raw.train, rest, count, name, stream, task, leave=waiting)
            parts[name] = raw.train, chosen
            rest = np.setdiff1d(rest, chosen, assume_unique=True)
    count = len(rest) if task.train is None else task.train
    parts["train"] = raw.train, _take(raw.train, rest, count, "train", 2, task)
    return {name: parts[name] for name in SPLITS}


def moments(images: Images) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel, pixels scaled to [0, 1].

    Computed in whole numbers until the last division: a floating-point sum of so many would depend
    on the order in which a processor adds.

    Args:
        images: uint8 [N, C, H, W].
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        histogram = np.zeros(256, np.int64)
        for start in range(0, len(images), 1024):  # bincount widens what it counts eightfold
            block = images[start : start + 1024, channel]
            histogram += np.bincount(block.ravel(), minlength=256)
        counts = [int(count) for count in histogram]
        number = sum(counts)
        total = sum(count * value for value, count in enumerate(counts))
        squares = sum(count * value**2 for value, count in enumerate(counts))
        means.append(total / (number * 255))
        deviations.append(math.sqrt((number * squares - total**2) / (number * 255) ** 2))
    return means, deviations


def _count(wanted: int | float | None, name: str, available: int, task: Task) -> int:
    """Return how many images a split takes out of training."""
    if wanted is None:
        raise PrunebenchError(
            f"task {task.name!r}: the source has no {name} split; set {name}: to the number of "
            "images to take out of training"
        )
    if isinstance(wanted, float):
        if not 0 < wanted < 1:
            raise PrunebenchError(
                f"task {task.name!r}: {name}: {wanted} is no share; it must lie between 0 and 1 "
                "(a number of images is written without a point)"
            )
        return round(wanted * available)
    return wanted


def _take(
    origin: Split, pool: Integers, count: int, name: str, stream: int, task: Task, leave: int = 0
) -> Integers:
    """Return sorted positions of ``count`` stratified images out of ``pool``.

    ``leave``: how many of each class others will need.
    """
    if count < 1:
        raise PrunebenchError(
            f"task {task.name!r}: {name} would be empty ({len(pool)} images are left)"
        )
    if count > len(pool):
        raise PrunebenchError(
            f"task {task.name!r}: {name}: {count} asked, only {len(pool)} images are left"
        )
    if task.split_seed < 0:
        raise PrunebenchError(f"task {task.name!r}: split_seed must be 0 or more")
    if count == len(pool):
        return pool
    order = permuter(task.split_seed, stream)
    return pool[stratified(origin.labels[pool], count, order, least=1, leave=leave)]


def _check_classes(parts: Parts, names: tuple[str, ...], task: Task) -> None:
    """Refuse a split without images of a class: what is chosen or tested there means nothing."""
    for split, (origin, chosen) in parts.items():
        absent = absent_classes(origin.labels[chosen], len(names))
        if len(absent):
            verb = "leave" if split == "train" else "show"
            raise PrunebenchError(
                f"task {task.name!r}: {len(chosen)} {TITLES[split]} images {verb} none of"
                f" class {first_few([repr(names[label]) for label in absent], 1)};"
                f" {_remedy(split, parts, int(absent[0]), names)}"
            )


def absent_classes(labels: Integers, classes: int) -> Integers:
    """Return which of ``classes`` classes none of the labels [N] has."""
    return np.setdiff1d(np.arange(classes), labels)


def _remedy(split: str, parts: Parts, label: int, names: tuple[str, ...]) -> str:
    """Return what to do about a split without the class ``label``."""
    origin, train = parts[split][0], parts["train"][0]
    if origin is not train and label not in origin.labels:
        return (
            f"the source's own {TITLES[split]} images must show every class that training shows:"
            " add some, or leave the class out of training"
        )
    cut = [TITLES[name] for name, (other, _) in parts.items() if other is train]
    has = int((train.labels == label).sum())
    if origin is train and has < len(cut):
        return (
            f"the source has {has} of class {names[label]!r}, and {listed(cut)} need one each: add"
            " some, or leave the class out"
        )
    return "raise train: or lower val: and test:" if split == "train" else f"raise {split}:"


def _write(tensors: dict[str, NDArray[Any]], target: Path) -> None:
    from safetensors.numpy import save_file

    with replacing(target) as temporary:
        save_file(tensors, temporary)
        # the description of the old bytes must not outlive them
        sidecar(target).unlink(missing_ok=True)
