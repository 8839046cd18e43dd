"""Inputs of noise, on which networks are compared."""

from __future__ import annotations

import torch
from torch import Tensor


def noise_like(inputs: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """Return ``count`` inputs of noise: normal, or of whole numbers as large as those given.

    Two whole numbers are a pair, such as a user and an item, each as large as those of its place.

    Args:
        inputs: [B, ...], whose type, device and range count.
        count: how many.
        draw: a generator on the CPU.
    """
    shape = (count, *inputs.shape[1:])
    if inputs.is_floating_point():
        return torch.randn(shape, generator=draw).to(inputs)
    if inputs.ndim == 2 and inputs.shape[1] == 2:
        places = [noise_like(place, count, draw) for place in inputs.unbind(1)]
        return torch.stack(places, 1)
    low, high = int(inputs.min()), int(inputs.max())  # tokens have no others
    return torch.randint(low, high + 1, shape, generator=draw).to(inputs)
