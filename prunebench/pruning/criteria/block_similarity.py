"""Criterion: how much a residual block changes its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.experiment.registry import criterion
from prunebench.pruning.blocks import Block
from prunebench.pruning.view import GroupScores, View


@criterion(patterns=("block",), needs=("batches", "activations"))
def block_similarity(view: View) -> GroupScores:
    """1 − cos(input, output) of a residual block (block influence, Men 2024, equation 1).

    The cosine is taken over the channels of a position, and averaged over positions and samples.
    Where input and output are both zero nothing changed: the cosine counts as 1.
    """
    sums = {block.name: 0.0 for block in view.blocks}
    counts = dict.fromkeys(sums, 0)

    def hook_of(block: Block) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            changes = _changes(inputs[0].detach(), output.detach(), block.channel_dim)
            sums[block.name] += float(changes.sum())
            counts[block.name] += changes.numel()

        return hook

    view.run({block.module: hook_of(block) for block in view.blocks})
    return GroupScores({name: torch.tensor(sums[name] / counts[name]) for name in sums})


def _changes(before: Tensor, after: Tensor, dim: int) -> Tensor:
    """Return 1 − cos along ``dim``, in double precision: trained blocks are close to 0."""
    before, after = before.double(), after.double()
    cosine = functional.cosine_similarity(before, after, dim=dim)
    still = (before == 0).all(dim) & (after == 0).all(dim)
    return (1 - cosine).masked_fill(still, 0.0)
