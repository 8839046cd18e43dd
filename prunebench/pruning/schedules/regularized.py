"""Training with a penalty that makes small what may go, then pruning (network slimming)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.registry import schedule
from prunebench.experiment.settings import Training
from prunebench.pruning.curve import Cost, Curve, Pruned
from prunebench.pruning.masks import ones
from prunebench.pruning.modes import batch_norms
from prunebench.pruning.schedules.one_shot_iterative import prune_each
from prunebench.training.loop import Hooks, learning_rate

_AUTHORS = 1e-4  # the strength of the paper, section 4.3


def scales(model: nn.Module) -> list[Tensor]:
    """Return the γ of every batch norm that has one."""
    return [norm.weight for norm in batch_norms(model) if norm.weight is not None]


def least_strength(training: Training, steps_per_epoch: int, scale: float) -> float:
    """Return the weakest penalty that alone brings a scale to 0 by the end of a training.

    The gradient of the penalty is constant, ± its strength, so that plain SGD moves a scale by the
    strength times the sum of the learning rates of all steps, and momentum μ by 1/(1 − μ) times
    that. AdamW divides the gradient by its size: any strength does.

    Args:
        training: epochs, schedule, optimizer and momentum.
        steps_per_epoch: steps of the optimizer.
        scale: what a scale starts at.
    """
    if training.optimizer != "sgd":
        return 0.0
    rate, steps = learning_rate(training), training.epochs * steps_per_epoch
    path = sum(rate(step / steps_per_epoch) for step in range(steps))
    return scale * (1 - training.momentum) / path


@schedule(length="training", ranges={"strength": "[0, inf)", "scale": "(0, inf)"})
def regularized(
    curve: Curve,
    sparsities: Sequence[float],
    *,
    strength: float | None = None,
    scale: float = 0.5,
) -> Iterator[Pruned]:
    """Train from initialization with ``strength`` · Σ|γ| added to the loss, then prune once.

    γ are the scales of the batch norms (Liu 2017, eq. 1), all set to ``scale`` at the start, as the
    authors do. One such network serves every sparsity, each pruned and recovered on its own; a
    curve that goes on after a kill trains it again, to the same bits. The cost of a cell is this
    training and its recovery. The baseline's cost is not counted: only its initialization is used.

    Args:
        strength: of the penalty, at least 0. None: the authors' 1e-4, or more where the training is
            too short for that to bring a scale to 0: then the least that can (``least_strength``).
            The authors' 160 epochs of 782 steps move a scale by 6.6; 40 epochs of 12 by 0.03.
        scale: what every γ starts at.

    Raises:
        Refused: the network has no batch norm, or, before any training, the pattern can reach none
            of the sparsities.
    """
    missing = [sparsity for sparsity in sparsities if curve.finished(sparsity) is None]
    if not missing:
        return
    model = curve.model_at(0)
    if not scales(model):
        raise Refused(f"{type(model).__name__} has no batch norm whose scales could be made small")
    curve.check_reach(curve.view(model), min(missing))

    with torch.no_grad():
        for value in scales(model):
            value.fill_(scale)
    weakest = least_strength(curve.training, curve.steps_per_epoch, scale)
    chosen = max(_AUTHORS, weakest) if strength is None else strength

    def penalty(network: nn.Module) -> Tensor:
        return chosen * torch.cat(scales(network)).abs().sum()

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
