"""Probe: how far training has moved the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe


@torch.no_grad()
def distance_between(
    weights: Mapping[str, Tensor], initial: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> float:
    """Return the L2 norm of ``weights`` − ``initial``, in double precision.

    Args:
        weights: by name.
        initial: by name; it may hold more, such as buffers.
        masks: name -> bool; entries where it is False do not count.
    """
    total = 0.0
    for name, weight in weights.items():
        moved = weight.double() - initial[name].to(weight.device).double()
        if name in masks:
            moved *= masks[name].to(weight.device)
        total += moved.square().sum().item()
    return math.sqrt(total)


@probe(
    columns={"distance": "‖m ⊙ (w − w_0)‖₂"},
    better="",
    unit="1",
    source="Nagarajan 2019; He 2022",
)
def distance(subject: Subject) -> dict[str, float]:
    """Distance of all parameters but the pruned from where the dense network was initialized."""
    weights = dict(subject.model.named_parameters())
    found = distance_between(weights, subject.initial, subject.masks)
    return {"distance": found} if math.isfinite(found) else {}
