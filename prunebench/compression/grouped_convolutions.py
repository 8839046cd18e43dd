"""Make a working copy of a network in which all layers can be cut alike, and go back.

Convolutions and linear layers get a bias, norms of single channels a scale and shift, and a grouped
convolution becomes the dense one of the same outputs, zero between its groups. The network computes
the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.compression.constants import CONVOLUTIONS
from prunebench.pruning.held_networks import copied
from prunebench.pruning.view import BATCH_NORMS

CHANNEL_NORMS = (*BATCH_NORMS, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
Dims = Mapping[tuple[str, int], Tensor]  # (parameter, dimension) -> bool, True is kept


@dataclass
class Working:
    """A copy of a network, and the names of the modules in it that were given something."""

    model: nn.Module
    biases: list[str]  # convolutions and linear layers that had none
    scales: list[str]  # batch and instance norms that had neither scale nor shift
    groups: dict[str, int]  # of the grouped convolutions that are not depth-wise

    def blocks(self, name: str, dims: Dims) -> tuple[Tensor, Tensor]:
        """Return what stays of a grouped convolution, by its groups.

        Args:
            name: of the convolution.
            dims: what stays of the dense one's dimensions; all of one that is not in it.

        Returns:
            Bool [groups, out / groups] and bool [groups, in / groups].
        """
        weight = self.model.get_parameter(f"{name}.weight")
        kept = []
        for dim in (0, 1):
            flags = torch.ones(weight.shape[dim], dtype=torch.bool)
            kept.append(dims.get((f"{name}.weight", dim), flags).view(self.groups[name], -1))
        return kept[0], kept[1]


def is_depthwise(module: nn.Module) -> bool:
    """Return whether a module is a convolution with one filter for each channel."""
    return (
        isinstance(module, CONVOLUTIONS)
        and 1 < module.groups == module.in_channels == module.out_channels
    )


@torch.no_grad()
def working_copy(model: nn.Module) -> Working:
    """Return a copy of a network in eval mode, completed as this module says."""
    model = copied(model).eval()
    work = Working(model, [], [], {})
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, *CONVOLUTIONS)):
            if module.bias is None:
                module.bias = nn.Parameter(module.weight.new_zeros(module.weight.shape[0]))
                work.biases.append(name)
            if isinstance(module, CONVOLUTIONS) and module.groups > 1 and not is_depthwise(module):
                work.groups[name] = module.groups
                module.weight = nn.Parameter(_dense(module.weight, module.groups))
                module.groups = 1
        elif isinstance(module, CHANNEL_NORMS) and module.weight is None:
            size = module.num_features
            like = next(model.parameters()) if module.running_var is None else module.running_var
            module.weight = nn.Parameter(like.new_ones(size))
            module.bias = nn.Parameter(like.new_zeros(size))
            module.affine = True
            work.scales.append(name)
    return work


def _dense(weight: Tensor, groups: int) -> Tensor:
    """Return [out, in / groups, ...] of a grouped convolution as [out, in, ...]."""
    out, width = weight.shape[:2]
    dense = weight.new_zeros(groups, out // groups, groups, width, *weight.shape[2:])
    each = torch.arange(groups)
    dense[each, :, each] = weight.view(groups, out // groups, *weight.shape[1:])
    return dense.view(out, groups * width, *weight.shape[2:])


@torch.no_grad()
def regroup(work: Working, dims: Dims) -> None:
    """Turn dense convolutions back into grouped ones, of what ``dims`` says is kept.

    The groups of which something stays must all keep as many outputs as each other, and as many
    inputs.
    """
    for name in work.groups:
        module: Any = work.model.get_submodule(name)
        rows, columns = work.blocks(name, dims)
        weight = module.weight.view(*rows.shape, *columns.shape, *module.weight.shape[2:])
        parts = [
            weight[g][rows[g]][:, g][:, columns[g]]
            for g in range(len(rows))
            if rows[g].any() or columns[g].any()
        ]
        module.weight = nn.Parameter(torch.cat(parts))
        module.groups = len(parts)


@torch.no_grad()
def strip(work: Working) -> int:
    """Remove what was added and does nothing; return how many of the added biases are needed."""
    modules = dict(work.model.named_modules())  # whole blocks may be gone
    needed = 0
    for name in work.biases:
        if name in modules and modules[name].bias.any():
            needed += 1
        elif name in modules:
            modules[name].bias = None
    for name in work.scales:
        if name in modules and not modules[name].bias.any() and (modules[name].weight == 1).all():
            modules[name].weight = modules[name].bias = None
            modules[name].affine = False
    return needed
