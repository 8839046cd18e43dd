"""Channels and all that is coupled to them: what must go when a filter goes.

torch-pruning's dependency graph (Fang 2023) finds the coupling: a filter's bias, its batch norm,
the layers that read it, and whatever a residual addition ties to it. A removed channel is then zero
everywhere, so that a masked network computes what the smaller one would.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.pruning.layers import Layer
from prunebench.pruning.masks import Masks

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Slice:
    """How a dimension of a parameter falls into the units of a group."""

    parameter: str
    dim: int
    unit: Tensor  # int64 [size of dim]: the unit of each position, -1 where it has none
    produces: bool  # whether the unit is this layer's output (its filter), not its input


@dataclass(frozen=True)
class Group:
    """Channels that can only be removed together: unit u in every slice."""

    name: str
    size: int
    slices: tuple[Slice, ...]

    def filters(self) -> list[Slice]:
        """The slices that are filters: dimension 0 of weights that produce the channels."""
        return [item for item in self.slices if item.produces]


def find_groups(model: nn.Module, layers: Mapping[str, Layer], example: Tensor) -> list[Group]:
    """The groups of ``model``, traced with ``example`` [B, C, H, W], whose filters are prunable.

    A group is left out where it ends in the classifier's outputs, where a layer of it may not be
    pruned, or where a layer norm runs across its channels: with fewer channels that would compute
    something else. Raises Refused where the model cannot be traced, or no group is left.
    """
    import torch_pruning

    training = model.training
    model.eval()
    frozen = [p for p in model.parameters() if not p.requires_grad]
    try:
        for parameter in frozen:  # the graph is read from autograd, which skips frozen parameters
            parameter.requires_grad_(True)
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")  # it warns of parameters outside of modules
            graph = torch_pruning.DependencyGraph().build_dependency(model, example)
            roots = (nn.Linear, *_CONV)
            found = list(graph.get_all_groups(root_module_types=list(roots)))
    except Exception as error:
        raise Refused(
            f"{type(model).__name__} cannot be traced for coupled channels: {error}"
        ) from error
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        model.train(training)
    loose = {id(item.parameters): item.pruning_dim for item in graph.unwrapped_parameters}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = []
    for members in found:
        group = _read_group(members, names, loose, layers)
        if group is not None:
            groups.append(group)
    if not groups:
        raise Refused(f"{type(model).__name__} has no channels that could be removed")
    return groups


def _read_group(
    members: object, names: dict[int, str], loose: dict[int, int], layers: Mapping[str, Layer]
) -> Group | None:
    slices: dict[tuple[str, int], Slice] = {}
    size = 0
    for item in members:  # type: ignore[attr-defined]
        module = item.dep.target.module
        roots = item.root_idxs if item.root_idxs is not None else item.idxs
        size = max(size, max(roots) + 1)
        for parameter, dim, produces in _touched(module, item.dep.handler.__name__, loose):
            name = names.get(id(parameter))
            if name is None:
                return None
            unit = torch.full((parameter.shape[dim],), -1, dtype=torch.int64)
            unit[torch.as_tensor(item.idxs)] = torch.as_tensor(roots)
            slices.setdefault((name, dim), Slice(name, dim, unit, produces))
    filters = [item for item in slices.values() if item.produces]
    normed = any(isinstance(item.dep.target.module, nn.LayerNorm) for item in members)  # type: ignore[attr-defined]
    if normed or not filters or any(item.parameter not in layers for item in filters):
        return None
    return Group(filters[0].parameter, size, tuple(slices.values()))


def _touched(
    module: nn.Module, handler: str, loose: dict[int, int]
) -> Iterator[tuple[Tensor, int, bool]]:
    """(parameter, dimension, whether it is a filter) that a step of the graph cuts."""
    if isinstance(module, nn.Parameter):
        if id(module) in loose:
            yield module, loose[id(module)], False
    elif isinstance(module, (*_NORMS, nn.GroupNorm)):
        for parameter in (module.weight, module.bias):
            if parameter is not None:
                yield parameter, 0, False
    elif isinstance(module, (nn.Linear, *_CONV)):
        grouped = isinstance(module, _CONV) and module.groups > 1
        if "out_channels" in handler or (grouped and module.groups == module.in_channels):
            yield module.weight, 0, True
            if module.bias is not None:
                yield module.bias, 0, False
        elif grouped:
            raise Refused(
                "grouped convolutions that are not depth-wise cannot lose single channels"
            )
        else:
            yield module.weight, 1, False


def kept_dims(groups: list[Group], keep: Mapping[str, Tensor]) -> dict[tuple[str, int], Tensor]:
    """(parameter, dimension) -> bool [size of dimension], from the kept units of each group."""
    dims: dict[tuple[str, int], Tensor] = {}
    for group in groups:
        kept = torch.cat([keep[group.name].cpu(), torch.ones(1, dtype=torch.bool)])  # -1: kept
        for item in group.slices:
            flags, place = kept[item.unit], (item.parameter, item.dim)
            dims[place] = dims[place] & flags if place in dims else flags
    return dims


def expand(dims: Mapping[tuple[str, int], Tensor], parameters: Mapping[str, Tensor]) -> Masks:
    """Masks of every touched parameter from what is kept of its dimensions."""
    masks: Masks = {}
    for (name, dim), flags in dims.items():
        value = parameters[name]
        shape = [1] * value.ndim
        shape[dim] = -1
        whole = torch.ones(value.shape, dtype=torch.bool, device=value.device)
        masks[name] = masks.get(name, whole) & flags.to(value.device).view(shape)
    return masks


def kept_weights(dims: Mapping[tuple[str, int], Tensor], parameters: Mapping[str, Tensor]) -> int:
    """How many weights of ``parameters`` are kept: the product over its dimensions, summed."""
    shares: dict[str, float] = defaultdict(lambda: 1.0)
    for (name, _), flags in dims.items():
        shares[name] *= int(flags.sum()) / len(flags)
    return round(sum(value.numel() * shares[name] for name, value in parameters.items()))
