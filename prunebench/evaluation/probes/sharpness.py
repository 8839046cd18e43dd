"""Probe: how steeply the loss rises around the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
from prunebench.pruning.modes import differentiable, evaluating
from prunebench.training.loop import at_once, logits_of

BATCH = 500  # samples at a time


def sharpness_of(
    model: nn.Module, masks: Mapping[str, Tensor], inputs: Tensor, targets: Tensor,
    mean_loss: Callable[[Tensor, Tensor], Tensor], normalize: Callable[[Tensor], Tensor],
    rho: float = 0.05, batch: int = BATCH,
) -> float:  # fmt: skip
    """Return the rise of the loss by one ascent step of length ``rho``, in nat (Foret 2021, eq. 2).

    The step goes along the gradient g of the mean loss by all parameters but the pruned:
    w + rho · g / ‖g‖₂. The model is in eval mode; its mode and its gradients stay as they are.

    Args:
        model: the network.
        masks: parameter name -> bool; entries where it is False do not move.
        inputs: [N, ...] as they are stored.
        targets: [N, ...].
        mean_loss: of (outputs, targets), the mean over the batch.
        normalize: stored inputs to the network's.
        rho: length of the step.
        batch: samples at a time.

    Returns:
        Loss after minus loss before; 0 where the gradient is zero.
    """

    def loss(weights: dict[str, Tensor], part: Tensor, wanted: Tensor) -> Tensor:
        outputs = logits_of(functional_call(model, weights, (normalize(part),)))
        return mean_loss(outputs.double(), wanted) * (len(wanted) / len(targets))

    weights = {name: w.detach().requires_grad_() for name, w in model.named_parameters()}
    slopes = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    batches = list(zip(inputs.split(batch), targets.split(batch), strict=True))
    before = after = 0.0
    with evaluating(model), differentiable(model):
        for part, wanted in batches:
            value = loss(weights, part, wanted)
            found = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
            before += value.item()
            for name, slope in zip(weights, found, strict=True):
                if slope is not None:
                    slopes[name] += slope
        with torch.no_grad():
            for name, mask in masks.items():
                slopes[name] *= mask.to(slopes[name].device)
            length = math.sqrt(sum(s.double().square().sum().item() for s in slopes.values()))
            if length == 0:
                return 0.0
            moved = {name: w + rho / length * slopes[name] for name, w in weights.items()}
            after = sum(loss(moved, part, wanted).item() for part, wanted in batches)
    return after - before


@probe(
    columns={"sharpness": "L(w + ρ m ⊙ g / ‖m ⊙ g‖₂) − L(w), g = ∇L(w), ρ = 0.05"},
    better="lower",
    unit="nat",
    source="Foret 2021, eq. 2",
)
def sharpness(subject: Subject, *, rho: float = 0.05) -> dict[str, float]:
    """Rise of the training loss after one ascent step on all parameters but the pruned."""
    kind = subject.kind
    batch = at_once(kind, subject.train[1], BATCH)
    found = sharpness_of(
        subject.model, subject.masks, *subject.train, kind.loss, subject.normalize, rho, batch
    )
    return {"sharpness": found} if math.isfinite(found) else {}
