"""Masks: parameter name -> bool tensor of its shape, True is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

Masks = dict[str, Tensor]


@torch.no_grad()
def apply(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set parameters to zero where their mask is False, in place."""
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        parameters[name].mul_(mask.to(parameters[name].device))


def ones(parameters: Mapping[str, Tensor]) -> Masks:
    """Return masks that keep everything."""
    return {
        name: torch.ones(value.shape, dtype=torch.bool, device=value.device)
        for name, value in parameters.items()
    }


def sparsity(masks: Mapping[str, Tensor], names: Iterable[str]) -> float:
    """Return the share of False among the named masks, in [0, 1]."""
    chosen = [masks[name] for name in names]
    total = sum(mask.numel() for mask in chosen)
    kept = sum(int(mask.sum()) for mask in chosen)
    return 1.0 - kept / total


def collapsed(masks: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors of which nothing is kept: no signal passes them any more."""
    return [name for name, mask in masks.items() if not mask.any()]
