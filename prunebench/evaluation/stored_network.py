"""The subject of a probe: a stored network, and the samples to look at it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from prunebench.compression.export_formats import Deployed
from prunebench.compression.smallest_network import CHECKED, SmallestNetwork, smallest
from prunebench.evaluation.architecture import Architecture
from prunebench.tasks.forms import Form
from prunebench.tasks.stratified import permuter, stratified
from prunebench.tasks.task_kind import TaskKind


@dataclass(frozen=True, eq=False)
class Subject:
    """A cell's network, its masks (name -> bool, True is kept) and its state at step 0.

    Inputs and targets are as they are stored, e.g. uint8 [N, C, H, W] and [N]; the training targets
    are those trained on. A probe looks at no more than ``samples`` samples of a split, the same for
    all cells of a ``seed``. A dense baseline has no masks.
    """

    model: nn.Module
    masks: Mapping[str, Tensor]
    initial: Mapping[str, Tensor]
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    kind: TaskKind
    form: Form
    normalize: Callable[[Tensor], Tensor]
    moments: tuple[Tensor, Tensor]  # mean and deviation [C] on the scale of the stored inputs
    seed: int
    samples: int
    round_to: int = 1  # channels of the smallest network are kept at a multiple of it
    architecture: Architecture | None = None  # that others share; None: its own

    @cached_property
    def dense(self) -> Architecture:
        """What it has in common with other networks of its architecture."""
        if self.architecture is not None:
            return self.architecture
        return Architecture(lambda: self.model, self.normalize(self.test_inputs[:1]))

    @cached_property
    def smallest(self) -> SmallestNetwork:
        """The network without all that has no use, verified."""
        inputs = self.normalize(self.test_inputs[:CHECKED])
        known = self.dense.groups if self.masks else None
        return smallest(self.model, self.masks, inputs, self.round_to, known)

    @cached_property
    def train(self) -> tuple[Tensor, Tensor]:
        """The training inputs to look at, every class in its share, and their targets."""
        return self._chosen(self.train_inputs, self.train_targets)

    @cached_property
    def test(self) -> tuple[Tensor, Tensor]:
        """The test inputs to look at, every class in its share, and their targets."""
        return self._chosen(self.test_inputs, self.test_targets)

    @property
    def deployed(self) -> Deployed:
        """The smallest network with its preprocessing, as it is exported."""
        return Deployed(self.smallest.model, *self.moments, self.form, self.kind)

    def _chosen(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        count = min(self.samples, len(targets))
        strata = self.kind.strata(targets.cpu().numpy())
        places = torch.from_numpy(stratified(strata, count, permuter(self.seed)))
        places = places.to(targets.device)
        return inputs[places], targets[places]
