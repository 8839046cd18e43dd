"""Build optimizers by their names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from prunebench.experiment.settings import Training


def _sgd(groups: list[dict[str, Any]], training: Training) -> torch.optim.Optimizer:
    nesterov = training.nesterov and training.momentum > 0
    return torch.optim.SGD(
        groups, lr=training.learning_rate, momentum=training.momentum, nesterov=nesterov, fused=True
    )


def _adamw(groups: list[dict[str, Any]], training: Training) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)


OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}


def optimizer_of(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Return the optimizer of a network; norms and biases (one-dimensional) do not decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[training.optimizer](groups, training)
