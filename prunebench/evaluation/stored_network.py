"""The subject of a probe: a stored network, and the images to look at it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from prunebench.compression.smallest_network import CHECKED, SmallestNetwork, smallest
from prunebench.tasks.stratified import permuter, stratified


@dataclass(frozen=True, eq=False)
class Subject:
    """A cell's network, its masks (name -> bool, True is kept) and its state at step 0.

    Images are uint8 [N, C, H, W], labels [N]; the training labels are those trained on. A probe
    looks at no more than ``samples`` images of a split, the same for all cells of a ``seed``. A
    dense baseline has no masks.
    """

    model: nn.Module
    masks: Mapping[str, Tensor]
    initial: Mapping[str, Tensor]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    normalize: Callable[[Tensor], Tensor]
    moments: tuple[Tensor, Tensor]  # mean and deviation [C] on the scale of the pixels
    seed: int
    samples: int
    round_to: int = 1  # channels of the smallest network are kept at a multiple of it

    @cached_property
    def smallest(self) -> SmallestNetwork:
        """The network without all that has no use, verified."""
        images = self.normalize(self.test_images[:CHECKED])
        return smallest(self.model, self.masks, images, self.round_to)

    @cached_property
    def train(self) -> tuple[Tensor, Tensor]:
        """The training images to look at, every class in its share, and their labels."""
        return self._chosen(self.train_images, self.train_labels)

    @cached_property
    def test(self) -> tuple[Tensor, Tensor]:
        """The test images to look at, every class in its share, and their labels."""
        return self._chosen(self.test_images, self.test_labels)

    def _chosen(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        count = min(self.samples, len(labels))
        found = stratified(labels.cpu().numpy(), count, permuter(self.seed))
        places = torch.from_numpy(found).to(labels.device)
        return images[places], labels[places]
