"""Data of one's own: a function that gives the splits, or a file of arrays.

``path:`` is ``file.py:function``, called without arguments, which returns a mapping of ``train``,
and ``val`` and ``test`` where there are, to ``(inputs, targets)``, two arrays, or to a data set as
PyTorch has them, whose items are an input and its target; ``classes`` may give names. Or it is an
``.npz`` file with the arrays ``train_inputs``, ``train_targets`` and so on; ``keys:`` says which
arrays these are where they have other names, and the others are then left alone.

Inputs of floats are what the network takes, [N, ...], and reach it as they are. Bytes are images
[N, H, W], [N, H, W, C] or [N, C, H, W], which are normalized as everywhere; whole numbers [N, L]
are tokens, 0 pads at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.errors import PrunebenchError, reason_of, shown, suggest
from prunebench.experiment import registry
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.storage.files import require_plain
from prunebench.tasks.raw import Array, Raw, Split, check_fits, integer_labels, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SPLITS, CLASSES = ("train", "val", "test"), "classes"
ARRAYS = ".npz"
# of arrays in a file, as it has them or as ``keys`` maps them
NAMES = (CLASSES, *(f"{split}_{part}" for split in SPLITS for part in ("inputs", "targets")))
_WHAT = f"file.py:function, which gives the splits, or an {ARRAYS} file of arrays"
_ITEMS = {"pixels": "image", "arrays": "input", "tokens": "sequence"}


def check(task: Task) -> None:
    """Refuse a task whose path names neither a function that is there nor a file of arrays."""
    if task.path is None:
        raise PrunebenchError(f"task {task.name!r}: source {task.source!r} needs path: {_WHAT}")
    own = OwnCode.named(task.path)
    if own is not None:
        own.check(f"task {task.name!r}: path")
    elif Path(task.path).suffix != ARRAYS:
        raise PrunebenchError(f"task {task.name!r}: path {shown(task.path)} must be {_WHAT}")


def read(task: Task, folder: Path) -> Raw:
    """Return the splits that the function gives, or that the file holds.

    Raises:
        PrunebenchError: the function or the file is missing or fails, or what it gives are no
            splits of inputs with their targets.
    """
    check(task)
    assert task.path is not None
    own = OwnCode.named(task.path)
    given = _stored(Path(task.path), task) if own is None else _called(own, task)
    unknown = [str(key) for key in given if key not in (*SPLITS, CLASSES)]
    if unknown or "train" not in given:
        fault = f"{unknown[0]!r} is no split{suggest(unknown[0], SPLITS)}" if unknown else ""
        raise PrunebenchError(f"task {task.name!r}: {task.path}: {fault or 'has no train split'}")
    splits, forms = {}, {}
    for split in SPLITS:
        if split in given:
            where = f"task {task.name!r}: {split}"
            inputs, targets = pair_of(given[split], where)
            forms[split], inputs = _inputs(inputs, where)
            splits[split] = Split(inputs, _targets(targets, task, where))
    if len(set(forms.values())) > 1:
        raise PrunebenchError(
            f"task {task.name!r}: {task.path}: the splits hold "
            + ", ".join(f"{form} ({split})" for split, form in forms.items())
        )
    form = forms["train"]
    return Raw(
        splits["train"], splits.get("val"), splits.get("test"), _names(given, task),
        facts=_vocabulary(splits) if form == "tokens" else {}, item=_ITEMS[form], form=form,
    )  # fmt: skip


def _names(given: Mapping[str, Any], task: Task) -> tuple[str, ...] | None:
    names = given.get(CLASSES)
    names = names.tolist() if isinstance(names, np.ndarray) else names
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        where = f"task {task.name!r}: {task.path}"
        raise PrunebenchError(f"{where}: {CLASSES} must be a list of names, one for each class")
    return tuple(str(name) for name in names)


def _called(own: OwnCode, task: Task) -> Mapping[str, Any]:
    where = f"task {task.name!r}: {task.path}"
    try:
        given = getattr(registry.module_of_file(own.source), own.name)()
    except PrunebenchError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's own code may raise
        raise PrunebenchError(f"{where}: {reason_of(error)}") from error
    if not isinstance(given, Mapping):
        raise PrunebenchError(
            f"{where}: must return a mapping of splits, {{'train': (inputs, targets)}}, returned a"
            f" {type(given).__name__}"
        )
    return given


def _stored(path: Path, task: Task) -> Mapping[str, Any]:
    where = f"task {task.name!r}: {path}"
    require_plain(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            _check_keys(task, file.files, where)
            names = task.keys or {name: name for name in file.files}
            found = {name: file[theirs] for name, theirs in names.items()}
    except PrunebenchError:
        raise
    except OSError as error:
        raise PrunebenchError(f"{where}: {error.strerror or one_line(error)}") from error
    except Exception as error:  # what a damaged archive raises is not documented
        raise PrunebenchError(f"{where}: cannot be read: {one_line(error)}") from error
    for name in found:
        if name not in NAMES:
            raise PrunebenchError(
                f"{where}: unknown array {name!r}{suggest(name, NAMES)}; keys: says which is which"
            )
    splits: dict[str, Any] = {}
    for split in SPLITS:
        parts = [found.get(f"{split}_inputs"), found.get(f"{split}_targets")]
        if any(part is not None for part in parts):
            if any(part is None for part in parts):
                raise PrunebenchError(f"{where}: {split} needs {split}_inputs and {split}_targets")
            splits[split] = tuple(parts)
    return splits | ({CLASSES: found[CLASSES]} if CLASSES in found else {})


def _check_keys(task: Task, there: list[str], where: str) -> None:
    """Refuse ``keys`` that name arrays that the file or a task does not have."""
    for name, theirs in task.keys.items():
        if name not in NAMES:
            raise PrunebenchError(f"task {task.name!r}: keys: {name!r}{suggest(name, NAMES)}")
        if theirs not in there:
            raise PrunebenchError(f"{where}: keys: no array {theirs!r}{suggest(theirs, there)}")


def pair_of(value: Any, where: str) -> tuple[Array, Array]:
    """Return inputs and targets of a split, from two arrays or from a data set.

    Args:
        value: ``(inputs, targets)``, or what has a length and gives an input and its target.
        where: what a message begins with.

    Raises:
        PrunebenchError: it is neither, or items differ in shape.
    """
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise PrunebenchError(f"{where}: must be (inputs, targets), has {len(value)} parts")
        return _array(value[0], f"{where}: inputs"), _array(value[1], f"{where}: targets")
    if not (hasattr(value, "__len__") and hasattr(value, "__getitem__")):
        raise PrunebenchError(
            f"{where}: must be (inputs, targets) or a data set with a length, found a"
            f" {type(value).__name__}"
        )
    inputs, targets = [], []
    for place in range(len(value)):
        try:
            one, target = value[place]
        except (
            Exception,
            SystemExit,
        ) as error:  # of the user's own data set, or an item of another form
            raise PrunebenchError(f"{where}: item {place}: {reason_of(error)}") from error
        inputs.append(_array(one, f"{where}: input {place}"))
        targets.append(_array(target, f"{where}: target {place}"))
        if place == 0:
            check_fits(len(value) * inputs[0].nbytes, where)
        if inputs[place].shape != inputs[0].shape:
            raise PrunebenchError(
                f"{where}: input {place} has shape {list(inputs[place].shape)}, the first"
                f" {list(inputs[0].shape)}"
            )
    if not inputs:
        raise PrunebenchError(f"{where}: the data set is empty")
    try:
        return np.stack(inputs), np.stack(targets)
    except ValueError as error:
        raise PrunebenchError(f"{where}: targets differ in shape") from error


def _array(value: Any, where: str) -> Array:
    try:
        found = np.asarray(value)
    except Exception as error:  # e.g. of a tensor on a GPU
        raise PrunebenchError(f"{where}: no array: {reason_of(error)}") from error
    if found.dtype.kind not in "biuf":
        raise PrunebenchError(f"{where}: must be numbers, found {found.dtype}")
    return found


def _inputs(inputs: Array, where: str) -> tuple[str, Array]:
    """The form of inputs, and the inputs as this form has them."""
    if inputs.dtype.kind == "f":
        return "arrays", np.ascontiguousarray(inputs, np.float32)
    if inputs.dtype == np.uint8 and inputs.ndim in (3, 4):
        images = inputs[..., None] if inputs.ndim == 3 else inputs
        if images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):  # as networks have them
            images = images.transpose(0, 2, 3, 1)
        if images.shape[3] not in (1, 3):
            raise PrunebenchError(
                f"{where}: images of bytes have 1 or 3 channels, found {list(inputs.shape)}; give"
                " what the network takes, as floats [N, C, H, W]"
            )
        return "pixels", images
    if inputs.dtype.kind in "iu" and inputs.ndim == 2:
        return "tokens", inputs.astype(np.int32)
    raise PrunebenchError(
        f"{where}: inputs must be floats [N, ...], images of bytes or tokens [N, L], found"
        f" {inputs.dtype} of shape {list(inputs.shape)}"
    )


def _targets(targets: Array, task: Task, where: str) -> Array:
    wanted = registry.find(TaskKindTraits, task.kind).traits.targets
    if wanted == "classes":
        return integer_labels(targets, where)
    if wanted == "tokens":
        return targets.astype(np.int32)
    if wanted == "values" and targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]  # as networks give them
    return targets.astype(np.float32)


def _vocabulary(splits: Mapping[str, Split]) -> dict[str, Any]:
    largest = max(int(part.inputs.max(initial=0)) for part in splits.values())
    return {"vocabulary": ["<pad>", *(str(token) for token in range(1, largest + 1))]}
