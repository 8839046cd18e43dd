"""Criterion: the norm of everything that goes with a channel."""

from __future__ import annotations

import torch

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import GroupScores, View


@criterion(patterns=("filter",), needs=("batches",), ranges={"power": "[1, 2]"})
def group_norm(view: View, *, power: int = 2) -> GroupScores:
    """Σ ‖w[k]‖² over all slices k of a group, relative to the group's mean (Fang 2023).

    The slices are the filters, the weights of the layers that read the channel, and the scales of
    its norms, but not biases, which the paper's norms leave out. Dividing by the mean makes groups
    of different widths and kinds comparable: the score is meant for one ranking over the network.

    Args:
        power: of the weights; 1 sums their magnitudes, as the paper's baseline of L1 norms does.
    """
    named = dict(view.model.named_parameters())
    scores = GroupScores()
    for group in view.groups:
        total = torch.zeros(group.size)
        for item in group.slices:
            if item.parameter.endswith("bias"):
                continue
            rows = named[item.parameter].detach().float().movedim(item.dim, 0)
            rows = rows.reshape(len(rows), -1)
            norms = (rows.square() if power == 2 else rows.abs()).sum(1).cpu()
            inside = item.unit >= 0
            total.index_add_(0, item.unit[inside], norms[inside])
        scores[group.name] = total / total.mean().clamp(min=torch.finfo(torch.float32).tiny)
    return scores
