"""Groups of coupled channels: all that must go when a filter goes, and what is then left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from prunebench.pruning.masks import Masks

_PLAIN = torch.contiguous_format


@dataclass(frozen=True)
class Slice:
    """How the positions along one dimension of a parameter belong to the units of a group."""

    parameter: str
    dim: int
    unit: Tensor  # int64 [size of dim]: the unit of each position, -1 where it has none
    produces: bool  # whether the unit is this layer's output (its filter), not its input
    reads: bool = False  # whether the unit is an input of this layer's weights


@dataclass(frozen=True)
class Group:
    """Channels that can only be removed together: unit u of every slice."""

    name: str
    size: int
    slices: tuple[Slice, ...]

    def filters(self) -> list[Slice]:
        """Return the slices that are filters: of weights that produce the channels.

        That is dimension 0, the rows of a weight, or dimension 1, the columns of an embedding.
        """
        return [item for item in self.slices if item.produces]


def kept_dims(groups: list[Group], keep: Mapping[str, Tensor]) -> dict[tuple[str, int], Tensor]:
    """Return what is kept of each dimension that the groups touch.

    Args:
        groups: coupled channels.
        keep: group name -> bool [size of the group], True is kept.

    Returns:
        (parameter, dimension) -> bool [size of the dimension].
    """
    dims: dict[tuple[str, int], Tensor] = {}
    for group in groups:
        kept = torch.cat([keep[group.name].cpu(), torch.ones(1, dtype=torch.bool)])  # -1: kept
        for item in group.slices:
            flags, place = kept[item.unit], (item.parameter, item.dim)
            dims[place] = dims[place] & flags if place in dims else flags
    return dims


def expand(dims: Mapping[tuple[str, int], Tensor], parameters: Mapping[str, Tensor]) -> Masks:
    """Return masks of every parameter in ``dims``, from what is kept of its dimensions."""
    masks: Masks = {}
    for (name, dim), flags in dims.items():
        value = parameters[name]
        shape = [1] * value.ndim
        shape[dim] = -1
        along = flags.to(value.device).view(shape)
        whole = along.expand(value.shape)
        masks[name] = masks[name] & along if name in masks else whole.clone(memory_format=_PLAIN)
    return masks


def kept_weights(dims: Mapping[tuple[str, int], Tensor], parameters: Mapping[str, Tensor]) -> int:
    """Return how many weights are kept: each one's size times the kept shares of its dimensions."""
    shares: dict[str, float] = defaultdict(lambda: 1.0)
    for (name, _), flags in dims.items():
        shares[name] *= int(flags.sum()) / len(flags)
    return round(sum(value.numel() * shares[name] for name, value in parameters.items()))
