"""A prepared task as tensors: memory-mapped, verified, moved to the device unchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_json, sha256_file
from prunebench.tasks.prepare import SPLITS, absent_classes, sidecar


@dataclass(frozen=True, eq=False)
class TaskData:
    """The splits ``train``, ``val`` and ``test`` of a task.

    ``images[split]`` are uint8 [N, C, H, W], ``labels[split]`` int64 [N]; ``mean`` and ``std`` are
    float32 [C] of the training pixels scaled to [0, 1]. Loaded tensors are views of the file: clone
    them before writing into them.
    """

    images: dict[str, Tensor]
    labels: dict[str, Tensor]
    names: tuple[str, ...]  # of the classes
    mean: Tensor
    std: Tensor
    data_hash: str  # SHA-256 of the prepared file

    @property
    def classes(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.images["train"].shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> TaskData:
        """Return the same data on ``device``."""
        return replace(
            self,
            images={name: images.to(device) for name, images in self.images.items()},
            labels={name: labels.to(device) for name, labels in self.labels.items()},
            mean=self.mean.to(device),
            std=self.std.to(device),
        )

    def normalized(self, images: Tensor) -> Tensor:
        """Return uint8 images as float32 [B, C, H, W] of mean 0 and deviation 1 over training.

        A channel that never changes is centred only. Subtraction and division are two operations,
        not a fused one, so that every device rounds alike.
        """
        mean, std = (value.view(-1, 1, 1) for value in self.moments)
        return images.to(torch.float32).sub_(mean).div_(std)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation [C] on the scale of the pixels, 0 to 255."""
        std = torch.where(self.std > 0, self.std, torch.full_like(self.std, 1 / 255))
        return self.mean * 255, std * 255


def load(target: str | Path) -> TaskData:
    """Map a prepared file into memory once its hash agrees with its description.

    Raises:
        PrunebenchError: one of the two is missing or damaged, or describes another file, or a split
            lacks a class.
    """
    from safetensors.torch import load_file

    target = Path(target)
    remedy = f"delete {target} and run again to prepare it anew"
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
        mean = torch.tensor(description["mean"], dtype=torch.float32)
        std = torch.tensor(description["std"], dtype=torch.float32)
    except (PrunebenchError, KeyError, TypeError, ValueError) as error:
        raise PrunebenchError(f"{sidecar(target)} is damaged: {remedy}") from error
    if sha256_file(target) != expected:
        raise PrunebenchError(
            f"{target} is damaged or truncated (its SHA-256 is not the one recorded): {remedy}"
        )
    tensors = load_file(target)
    images = {split: tensors[f"{split}_images"] for split in SPLITS}
    labels = {split: tensors[f"{split}_labels"] for split in SPLITS}
    for split in SPLITS:
        if list(images[split].shape) != [sizes[split], *shape]:
            raise PrunebenchError(f"{sidecar(target)} describes another file: {remedy}")
        if absent := len(absent_classes(labels[split].numpy(), len(names))):
            raise PrunebenchError(
                f"{target}: its {split} images show {len(names) - absent} of {len(names)} classes:"
                f" {remedy}"
            )
    return TaskData(images, labels, names, mean, std, expected)
