"""Criterion: the scales of batch norms."""

from __future__ import annotations

import torch

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.view import BATCH_NORMS, GroupScores, View


@criterion(patterns=("filter",), needs=("batches",))
def network_slimming(view: View) -> GroupScores:
    """|γ| of the batch norm that scales the channel (Liu 2017, section 3).

    Where channels are coupled, the mean over their batch norms. All γ are on one scale, so the
    score is meant for one ranking over the network. A group that no batch norm scales stays whole.

    Raises:
        Refused: no batch norm with a γ scales a channel that could be removed.
    """
    scales = {
        f"{name}.weight".lstrip("."): module.weight.detach().abs().float().cpu()
        for name, module in view.model.named_modules()
        if isinstance(module, BATCH_NORMS) and module.weight is not None
    }
    if not scales:
        raise Refused(
            f"network slimming ranks channels by the scales of batch norms, and"
            f" {type(view.model).__name__} has none"
        )
    scores = GroupScores()
    for group in view.groups:
        total, count = torch.zeros(group.size), torch.zeros(group.size)
        for item in group.slices:
            if item.parameter in scales:
                inside = item.unit >= 0
                total.index_add_(0, item.unit[inside], scales[item.parameter][inside])
                count += torch.bincount(item.unit[inside], minlength=group.size)
        if bool((count > 0).all()):
            scores[group.name] = total / count
    if not scores:
        raise Refused("no batch norm scales the channels of this model that could go")
    return scores
