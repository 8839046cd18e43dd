"""Make minibatches on the device: shuffled, augmented and normalized a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from prunebench.experiment.settings import Augmentation

Normalize = Callable[[Tensor], Tensor]  # as stored -> as a network takes them: TaskData.normalized


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return how many batches ``epoch_batches`` yields for ``count`` samples."""
    alone = count % batch_size == 1 and batch_size > 1
    return -(-count // batch_size) - alone


def epoch_batches(
    inputs: Tensor,
    targets: Tensor,
    batch_size: int,
    generator: torch.Generator,
    normalize: Normalize,
    augmentation: Augmentation | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (normalized inputs [B, ...], targets [B, ...]) over one shuffled epoch.

    All draws are made at the start of the epoch, on the CPU, so that batches do not depend on the
    device. A last batch of one sample is dropped: batch norm cannot train on it.

    Args:
        inputs: [N, ...] as they are stored, on the device of training.
        targets: [N, ...], on the same device.
        batch_size: samples in a batch.
        generator: a CPU generator.
        normalize: stored inputs to the network's.
        augmentation: of images; None: none.
    """
    count, device = len(inputs), inputs.device
    order = torch.randperm(count, generator=generator).to(device)
    draws = None if augmentation is None else _draw(augmentation, count, generator).to(device)
    for step in range(steps_per_epoch(count, batch_size)):
        part = slice(step * batch_size, (step + 1) * batch_size)
        chosen = order[part]
        batch = inputs[chosen]
        if augmentation is not None and draws is not None:
            batch = augment(batch, augmentation, draws[part])
        yield normalize(batch), targets[chosen]


def augment(images: Tensor, augmentation: Augmentation, draws: Tensor) -> Tensor:
    """Crop and flip images as drawn.

    An image is padded by ``crop`` black pixels on every side and cut to its size at the offset
    drawn (0 to 2 · crop), then mirrored where flip is 1. This is torchvision's RandomCrop(size,
    padding) and RandomHorizontalFlip, before normalization.

    Args:
        images: uint8 [B, C, H, W].
        augmentation: what to do.
        draws: int64 [B, 3]: rows down, columns right, flip.
    """
    down, right, mirrored = draws.unbind(1)
    if augmentation.crop > 0:
        images = _crop(images, augmentation.crop, down, right)
    if augmentation.flip:
        images = torch.where(mirrored.view(-1, 1, 1, 1) == 1, images.flip(3), images)
    return images


def _draw(augmentation: Augmentation, count: int, generator: torch.Generator) -> Tensor:
    """Return int64 [count, 3]; what an augmentation does not use is drawn all the same."""
    offsets = torch.randint(0, 2 * augmentation.crop + 1, (count, 2), generator=generator)
    mirrored = torch.randint(0, 2, (count, 1), generator=generator)
    return torch.cat([offsets, mirrored], 1)


def _crop(images: Tensor, padding: int, down: Tensor, right: Tensor) -> Tensor:
    """Cut each image's own window out of all windows of the padded images, which are views."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (padding, padding, padding, padding))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # [B, C, down, right, H, W]
    return windows[torch.arange(len(images), device=images.device), :, down, right]
