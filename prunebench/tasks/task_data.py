"""A prepared task as tensors: memory-mapped, verified, moved to the device unchanged."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_json, sha256_file
from prunebench.tasks.forms import FORMS, Form
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.prepare import CALIBRATION, SPLITS, sidecar, targets_key
from prunebench.tasks.task_kind import TaskKind, kind_of

_ATTEMPTS, _PAUSE = 5, 0.2  # of reading while another command replaces files; seconds between


@dataclass(frozen=True, eq=False)
class TaskData:
    """The splits ``train``, ``val`` and ``test`` of a task, and ``calibration`` where it has one.

    ``inputs[split]`` and ``targets[split]`` are as their form and kind store them, e.g. images
    uint8 [N, C, H, W] and labels int64 [N]. ``mean`` and ``std`` are of the training inputs: of
    each channel, scaled to [0, 1], or of each feature. Loaded tensors are views of the file: clone
    them before writing into them.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    names: tuple[str, ...]  # of the classes; empty where there are none
    mean: Tensor
    std: Tensor
    data_hash: str  # SHA-256 of the prepared file
    kind: TaskKind
    form: Form

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input as it is stored: channels, height and width of an image."""
        return tuple(self.inputs["train"].shape[1:])

    @property
    def facts(self) -> NetworkFacts:
        """What a network's constructor may ask for."""
        own = self.form.facts(self.inputs["train"][:1].cpu().numpy(), self.kind.facts)
        known = {"num_classes": self.kind.outputs, "task_kind": self.kind.name}
        return NetworkFacts({**known, **own})

    @property
    def example(self) -> Tensor:
        """One training input as networks take it, [1, ...]."""
        return self.normalized(self.inputs["train"][:1])

    def to(self, device: torch.device | str) -> TaskData:
        """Return the same data on ``device``."""
        return replace(
            self,
            inputs={name: inputs.to(device) for name, inputs in self.inputs.items()},
            targets={name: targets.to(device) for name, targets in self.targets.items()},
            mean=self.mean.to(device),
            std=self.std.to(device),
        )

    def normalized(self, inputs: Tensor) -> Tensor:
        """Return stored inputs as networks take them: of mean 0 and deviation 1 over training.

        What never changes is centred only. Tokens stay numbers, int64.
        """
        found = self.form.normalized(inputs, *self.moments)
        # convolutions are faster with channels last, on CPUs and GPUs alike
        form = torch.channels_last if found.ndim == 4 else torch.contiguous_format
        return found.contiguous(memory_format=form)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation on the scale of the stored inputs: of pixels, 0 to 255."""
        scale = self.form.scale
        std = torch.where(self.std > 0, self.std, torch.full_like(self.std, 1 / scale))
        return self.mean * scale, std * scale


def load(target: str | Path) -> TaskData:
    """Map a prepared file into memory once its hash agrees with its description.

    Where another command puts others in their place meanwhile, they are read again.

    Raises:
        PrunebenchError: one of the two is missing or damaged, or describes another file, or a split
            lacks a class.
    """
    target = Path(target)
    for _ in range(_ATTEMPTS):
        before = _as_they_are(target)
        try:
            found = _load(target)
        except PrunebenchError:
            if None in before:
                raise
            time.sleep(_PAUSE)  # the two are renamed one after the other
            if _as_they_are(target) == before:
                raise
        else:
            if _as_they_are(target) == before:
                return found
    raise PrunebenchError(f"{target} is written all the time: end the other command")


def _as_they_are(target: Path) -> list[tuple[int, int] | None]:
    """Return which file each of the two is now."""
    found: list[tuple[int, int] | None] = []
    for path in (target, sidecar(target)):
        try:
            stat = path.stat()
            found.append((stat.st_ino, stat.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def _load(target: Path) -> TaskData:
    from safetensors.torch import load_file

    remedy = f"delete {target} and run again to prepare it again"
    missing = [path for path in (target, sidecar(target)) if not path.is_file()]
    if len(missing) == 2:
        raise PrunebenchError(
            f"{target} is not there: the task's data are not prepared yet; `run` does that, or"
            " `prepare` alone"
        )
    if missing:
        raise PrunebenchError(f"{missing[0]} is missing: {remedy}")
    try:
        description = read_json(sidecar(target))
        expected = description["sha256"]
        sizes, shape = description["sizes"], description["shape"]
        names = tuple(str(name) for name in description["classes"])
        kind_name, form = str(description["kind"]), FORMS[description["form"]]
        kind = kind_of(kind_name, {"names": names, "shape": shape, **description["facts"]})
        mean = torch.tensor(description["mean"], dtype=torch.float32)
        std = torch.tensor(description["std"], dtype=torch.float32)
    except (PrunebenchError, KeyError, TypeError, ValueError) as error:
        raise PrunebenchError(f"{sidecar(target)} is damaged: {remedy}") from error
    if sha256_file(target) != expected:
        raise PrunebenchError(
            f"{target} is damaged or truncated (its SHA-256 is not the one recorded): {remedy}"
        )
    try:
        tensors = load_file(target)
    except Exception as error:  # of a file that another program wrote, whatever comes
        raise PrunebenchError(f"{target} is damaged: {remedy}") from error
    try:
        splits = [*SPLITS, *({CALIBRATION} & set(sizes))]
        inputs = {split: tensors[f"{split}_{form.key}"] for split in splits}
        targets = {split: tensors[f"{split}_{targets_key(kind_name)}"] for split in splits}
    except KeyError as error:  # written by another version
        raise PrunebenchError(f"{target} has no {error}: {remedy}") from error
    for split in splits:
        if list(inputs[split].shape) != [sizes[split], *shape]:
            raise PrunebenchError(f"{sidecar(target)} describes another file: {remedy}")
        # what methods look at may lack a class
        if split in SPLITS and (fault := kind.fault(targets[split].numpy())):
            raise PrunebenchError(f"{target}: its {split} {form.item}s {fault}: {remedy}")
    return TaskData(inputs, targets, names, mean, std, expected, kind, form)
