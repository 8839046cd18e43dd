"""Prepare a task: check, split and resize what its source reads, write one file. Without torch.

The file (safetensors) holds inputs and targets of train, val and test, and of calibration where the
task asks for it, e.g. ``<split>_images``
uint8 [N, C, H, W] and ``<split>_labels`` int64 [N]; ``<file>.json`` beside it describes it. The
same input gives the same bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, is_text, shown
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.storage.files import json_text, replacing, sha256_file
from prunebench.tasks import sources
from prunebench.tasks.forms import FORMS
from prunebench.tasks.raw import Raw, Split
from prunebench.tasks.stratified import Integers, permuter, stratified
from prunebench.tasks.task_kind import kind_class

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SPLITS = ("train", "val", "test")
CALIBRATION = "calibration"  # a fourth, where the task asks for it
Parts = dict[str, tuple[Split, Integers]]  # split -> (where it comes from, positions in that)


def targets_key(kind: str) -> str:
    """Return what the targets of a kind of task are called in a prepared file."""
    classes = registry.find(TaskKindTraits, kind).traits.targets == "classes"
    return "labels" if classes else "targets"


def sidecar(target: Path) -> Path:
    """Return the path of a prepared file's description, written last to vouch for the file."""
    return target.with_name(f"{target.name}.json")


def prepare(task: Task, folder_raw: Path, target: Path) -> None:
    """Write the prepared file of a task, and its description.

    Args:
        task: the source, sizes of the splits, channels and size of images.
        folder_raw: where ``download`` put the data; local sources do not use it.
        target: the file to write.

    Raises:
        PrunebenchError: data are missing, damaged, mislabelled, all alike, or too few for the sizes
            asked.
    """
    target = Path(target)
    raw = sources.reader(task.source)(task, Path(folder_raw))
    facts = check(raw, task)
    kind, named, item = kind_class(task.kind), form_of(raw, task), raw.item
    form, parts = FORMS[named], split(raw, task)
    kind.check_splits(raw, {name: parts[name] for name in SPLITS}, facts, task)
    inputs, targets = form.key, targets_key(task.kind)
    tensors: dict[str, NDArray[Any]] = {}
    for name, (origin, chosen) in parts.items():
        whole = len(chosen) == len(origin)  # without a copy where nothing is left out
        tensors[f"{name}_{inputs}"] = form.stored(
            origin.inputs if whole else origin.inputs[chosen], task
        )
        tensors[f"{name}_{targets}"] = np.ascontiguousarray(origin.targets[chosen])
    train = tensors[f"train_{inputs}"]
    shapes = {name: tensors[f"{name}_{inputs}"].shape[1:] for name in parts}
    if len(set(shapes.values())) > 1:
        shown = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise PrunebenchError(
            f"task {task.name!r}: the splits differ in shape {form.axes}: {shown}{form.remedy}"
        )
    if all(np.array_equal(sample, train[0]) for sample in train):
        raise PrunebenchError(
            f"task {task.name!r}: all {len(train)} training {item}s are the same:"
            " nothing can be learned from them"
        )
    sizes = {name: len(tensors[f"{name}_{targets}"]) for name in parts}
    facts |= kind.learned(tensors[f"train_{targets}"])
    del raw, parts
    mean, std = form.moments(train)
    described = task.settings("augmentation")
    description = {
        "sizes": sizes,
        "classes": facts.pop("names"),
        "kind": task.kind,
        "form": named,
        "facts": facts,
        "shape": [int(length) for length in shapes["train"]],
        "mean": mean,
        "std": std,
        "source": described,
    }
    _write(tensors, description, target)


def check(raw: Raw, task: Task) -> dict[str, Any]:
    """Return what is known of the task before it is split: ``names`` of its classes, and facts.

    Raises:
        PrunebenchError: a split of the source is empty, or its inputs or targets are not what the
            kind of task takes.
    """
    kind, form = kind_class(task.kind), form_of(raw, task)
    for name, part in raw.splits().items():
        if len(part) == 0:
            raise PrunebenchError(f"task {task.name!r}: the {name} split of the source is empty")
        if len(part.inputs) != len(part.targets):
            raise PrunebenchError(
                f"task {task.name!r}: the {name} split has {len(part.inputs)} {raw.item}s "
                f"but {len(part.targets)} targets"
            )
        if 0 in part.inputs.shape:
            raise PrunebenchError(
                f"task {task.name!r}: the {name} split has {raw.item}s of no size"
            )
        FORMS[form].check(part.inputs, f"task {task.name!r}: {name}")
    for name in raw.names or ():
        if not is_text(name):
            raise PrunebenchError(
                f"task {task.name!r}: the class {shown(name)} is no text in UTF-8: rename it"
            )
    if form == "tokens" and not raw.facts.get("vocabulary"):
        raise PrunebenchError(
            f"task {task.name!r}: source {task.source!r} gives no vocabulary: the texts of its"
            " tokens"
        )
    return {**kind.check(raw, task), **raw.facts}


def form_of(raw: Raw, task: Task) -> str:
    """Return the form of a source's inputs: as it says, else the first of the kind's they can be.

    Forms of one type, such as tokens and pairs, are told apart by the facts that the source gives.

    Raises:
        PrunebenchError: the kind takes no such inputs.
    """
    taken = registry.find(TaskKindTraits, task.kind).traits.inputs
    inputs = raw.train.inputs
    if raw.form is not None and not {raw.form, *FORMS[raw.form].in_place_of}.isdisjoint(taken):
        return raw.form
    alike = [name for name, form in FORMS.items() if form.dtype == inputs.dtype]
    told = [name for name in alike if all(raw.facts.get(fact) for fact in FORMS[name].given)]
    for form in taken if raw.form is None else ():
        if form in (told or alike):
            return form
    given = raw.form or " or ".join(told) or f"{inputs.dtype} of shape {list(inputs.shape)}"
    raise PrunebenchError(
        f"task {task.name!r}: kind {task.kind} takes {' or '.join(taken)}; source {task.source!r}"
        f" gives {given}"
    )


def split(raw: Raw, task: Task) -> Parts:
    """Choose disjoint, stratified positions of each split, seeded by ``split_seed``.

    Test and validation come from the source's own splits where it has them (a count takes that
    many, a share of validation takes all), else out of training, as calibration always does. Each
    split has its own random order, test first, so that another size of training leaves the test set
    as it is. Every class is in every split where it has the samples for it.

    Raises:
        PrunebenchError: a split would be empty, or more samples are asked than there are.
    """
    rest = np.arange(len(raw.train), dtype=np.int64)
    # splits still to come out of training
    waiting = 1 + (raw.test is None) + (raw.val is None) + (task.calibration is not None)
    parts: Parts = {}
    for stream, (name, own, wanted) in enumerate(
        (("test", raw.test, task.test), ("val", raw.val, task.val))
    ):
        if own is not None:
            pool = np.arange(len(own), dtype=np.int64)
            count = len(own) if wanted is None or isinstance(wanted, float) else wanted
            chosen = _take(own, pool, count, name, stream, task, raw.item)
            parts[name] = own, chosen
        else:
            waiting -= 1
            count = _count(wanted, name, len(rest), task, raw.item)
            chosen = _take(raw.train, rest, count, name, stream, task, raw.item, waiting)
            parts[name] = raw.train, chosen
            rest = np.setdiff1d(rest, chosen, assume_unique=True)
    if task.calibration is not None:
        count = _count(task.calibration, CALIBRATION, len(rest), task, raw.item)
        chosen = _take(raw.train, rest, count, CALIBRATION, 3, task, raw.item, leave=1)
        parts[CALIBRATION] = raw.train, chosen
        rest = np.setdiff1d(rest, chosen, assume_unique=True)
    count = len(rest) if task.train is None else task.train
    parts["train"] = raw.train, _take(raw.train, rest, count, "train", 2, task, raw.item)
    return {name: parts[name] for name in (*SPLITS, CALIBRATION) if name in parts}


def _count(wanted: int | float | None, name: str, available: int, task: Task, item: str) -> int:
    """Return how many samples a split takes out of training."""
    if wanted is None:
        raise PrunebenchError(
            f"task {task.name!r}: the source has no {name} split; set {name}: to the number of "
            f"{item}s to take out of training"
        )
    if isinstance(wanted, float):
        if not 0 < wanted < 1:
            raise PrunebenchError(
                f"task {task.name!r}: {name}: {wanted} is no share; it must lie between 0 and 1 "
                f"(a number of {item}s is written without a point)"
            )
        return round(wanted * available)
    return wanted


def _take(
    origin: Split, pool: Integers, count: int, name: str, stream: int, task: Task, item: str,
    leave: int = 0,
) -> Integers:  # fmt: skip
    """Return sorted positions of ``count`` stratified samples out of ``pool``.

    ``leave``: how many of each class others will need.
    """
    if count < 1:
        raise PrunebenchError(
            f"task {task.name!r}: {name} would be empty ({len(pool)} {item}s are left)"
        )
    if count > len(pool):
        raise PrunebenchError(
            f"task {task.name!r}: {name}: {count} asked, only {len(pool)} {item}s are left"
        )
    if task.split_seed < 0:
        raise PrunebenchError(f"task {task.name!r}: split_seed must be 0 or more")
    if count == len(pool):
        return pool
    order = permuter(task.split_seed, stream)
    strata = kind_class(task.kind).strata(origin.targets[pool])
    return pool[stratified(strata, count, order, least=1, leave=leave)]


def _write(tensors: dict[str, NDArray[Any]], description: dict[str, Any], target: Path) -> None:
    """Write both files aside, then rename both: others may read those that were there before."""
    from safetensors.numpy import save

    with replacing(target) as tensors_file, replacing(sidecar(target)) as text_file:
        # not save_file, which puts another file in the place of the one that is locked: whoever
        # prepares the same data at once would remove it
        tensors_file.write_bytes(save(tensors))
        with tensors_file.open("rb") as file:
            os.fsync(file.fileno())  # so that little time lies between the two names
        described = {"sha256": sha256_file(tensors_file), **description}
        text_file.write_text(json_text(described), encoding="utf-8")
