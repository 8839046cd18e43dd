"""Training with a penalty that makes small what may go, then pruning (network slimming)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.registry import schedule
from prunebench.pruning.curve import Cost, Curve, Pruned
from prunebench.pruning.masks import ones
from prunebench.pruning.schedules.one_shot_iterative import prune_each
from prunebench.training.loop import Hooks


def scales(model: nn.Module) -> list[Tensor]:
    """Return the γ of every batch norm that has one."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return [norm.weight for norm in norms if norm.weight is not None]


@schedule(length="training", ranges={"strength": "[0, inf)"})
def regularized(
    curve: Curve, sparsities: Sequence[float], *, strength: float = 1e-4
) -> Iterator[Pruned]:
    """Train from initialization with ``strength`` · Σ|γ| added to the loss, then prune once.

    γ are the scales of the batch norms (Liu 2017, eq. 1). One such network serves every sparsity,
    each pruned and recovered on its own; a curve that goes on after a kill trains it again, to the
    same bits. The cost of a cell is this training and its recovery. The baseline's cost is not
    counted: only its initialization is used.

    Args:
        strength: of the penalty, at least 0.

    Raises:
        Refused: the network has no batch norm.
    """
    missing = [sparsity for sparsity in sparsities if curve.finished(sparsity) is None]
    if not missing:
        return
    model = curve.model_at(0)
    if not scales(model):
        raise Refused(f"{type(model).__name__} has no batch norm whose scales could be made small")

    def penalty(network: nn.Module) -> Tensor:
        return strength * torch.cat(scales(network)).abs().sum()

    masks = ones(curve.view(model).weights)
    first = curve.train(model, {}, start=0, stop=curve.epochs, hooks=Hooks(penalty=penalty))
    if first.diverged:
        for sparsity in missing:
            yield Pruned(sparsity, model, masks, first, Cost().and_run(first), 0.0)
        return
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    for pruned in prune_each(curve, missing, lambda: curve.model_in(trained)):
        # where the first one could have stopped, nothing was pruned yet
        pruned.run = replace(first, stopped=None).then(pruned.run)
        pruned.spent = Cost().and_run(pruned.run)
        yield pruned
