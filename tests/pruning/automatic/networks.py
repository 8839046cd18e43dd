"""Tiny networks and views of them, for allocations that try networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.experiment import config
from prunebench.pruning import compose
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.macs import macs
from prunebench.pruning.masks import Masks
from prunebench.pruning.view import View
from tests.kinds import classes

CLASSES = 3


class Residual(nn.Module):
    """What is added to its input; nothing where its weight is zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def perceptron() -> nn.Module:
    """Layers of 48, 80 and 60 prunable weights, and a head."""
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 6), nn.ReLU(),
        nn.Linear(6, CLASSES),
    )  # fmt: skip


def residual() -> nn.Module:
    """Four blocks of 36 weights between an input layer and a head."""
    return nn.Sequential(nn.Linear(6, 6), *(Residual(6) for _ in range(4)), nn.Linear(6, CLASSES))


def view_of(build: Any = perceptron, seed: int = 0, **changes: Any) -> View:
    """A view of a network that has learned a little, with 40 calibration samples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build()
        inputs = torch.randn(40, 6)
        targets = (inputs @ torch.randn(6, CLASSES)).argmax(1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    batches = [(inputs[:25], targets[:25]), (inputs[25:], targets[25:])]
    return View(model.eval(), batches=batches, seed=seed, kind=classes(CLASSES), **changes)


def masks_at(view: View, sparsity: float = 0.0, **method: Any) -> Masks:
    """Masks of a method without training, with what it took to find them."""
    parts = {"criterion": "magnitude", "recovery": "none", **method}
    chosen = config.method({"name": "tried", **parts})
    scored = compose.score(chosen, view)
    return compose.masks_at(chosen, view, scored.scores, sparsity)


def gone(view: View, masks: Mapping[str, Tensor]) -> int:
    """How many prunable weights are gone."""
    return sum(int((~masks[name]).sum()) for name in prunable_layers(view.model) if name in masks)


def loss_of(view: View, masks: Mapping[str, Tensor]) -> float:
    """The mean loss over all calibration samples at once, of a network whose weights are masked."""
    values = {
        name: value * masks[name] if name in masks else value
        for name, value in view.model.named_parameters()
    }
    inputs = torch.cat([batch for batch, _ in view.batches])
    targets = torch.cat([batch for _, batch in view.batches])
    with torch.no_grad():
        outputs = torch.func.functional_call(view.model, values, (inputs,))
    return float(nn.functional.cross_entropy(outputs, targets))


def macs_kept(view: View, masks: Masks) -> float:
    """The share of the network's MACs that masks keep."""
    dense, kept = macs(view.model, view.example[:1], masks)
    return kept / dense
