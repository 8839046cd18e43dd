"""Find coupled channels: all that must go when a filter goes.

torch-pruning's dependency graph (Fang 2023) finds what is coupled to a filter: its bias, its batch
norm, the layers that read it, and what a residual addition ties to it. A removed channel is then
zero everywhere, so that a masked network computes what the smaller network would. The graph does
not see through attention; there the heads are the units. Every group found is then tried out
(``_leaks``).
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.pruning.classifier import find_classifier
from prunebench.pruning.layers import Layer, evaluating
from prunebench.pruning.masks import Masks
from prunebench.training.loop import logits_of

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_ACROSS = ("layernorm", "rmsnorm", "simplenorm", "responsenorm")


@dataclass(frozen=True)
class Slice:
    """How the positions along one dimension of a parameter belong to the units of a group."""

    parameter: str
    dim: int
    unit: Tensor  # int64 [size of dim]: the unit of each position, -1 where it has none
    produces: bool  # whether the unit is this layer's output (its filter), not its input


@dataclass(frozen=True)
class Group:
    """Channels that can only be removed together: unit u of every slice."""

    name: str
    size: int
    slices: tuple[Slice, ...]

    def filters(self) -> list[Slice]:
        """Return the slices that are filters: dimension 0 of weights that produce the channels."""
        return [item for item in self.slices if item.produces]


def find_groups(model: nn.Module, layers: Mapping[str, Layer], example: Tensor) -> list[Group]:
    """Return the groups of coupled channels whose filters are all prunable.

    A group is left out where it ends in the classifier's outputs, where one of its layers may not
    be pruned, where a norm runs across its channels (with fewer channels it would compute something
    else), and where a trial shows that a removed channel still reaches the output.

    Args:
        model: the network.
        layers: its prunable layers, by the names of their weights.
        example: an input [B, C, H, W] to trace with.

    Raises:
        Refused: the model cannot be traced, or no group is left.
    """
    import torch_pruning

    frozen = [p for p in model.parameters() if not p.requires_grad]
    try:
        for parameter in frozen:  # the graph is read from autograd, which skips frozen parameters
            parameter.requires_grad_(True)
        with warnings.catch_warnings(), torch.enable_grad(), evaluating(model):
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
    loose = {id(item.parameters): item.pruning_dim for item in graph.unwrapped_parameters}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    outputs = {n for part in find_classifier(model, example) for n in _names_of(part, names)}
    heads = [group for group in _head_groups(model, names) if group.name in layers]
    inside = {(item.parameter, item.dim) for group in heads for item in group.slices}
    groups = []
    for members in found:
        if inside and any(_cuts(item, names) in inside for item in members):
            continue
        group = _read_group(members, names, loose, layers)
        if group is not None and not any(item.parameter in outputs for item in group.filters()):
            groups.append(group)
    groups += heads
    if groups and _leaks(model, groups, example):
        groups = [group for group in groups if not _leaks(model, [group], example)]
    if not groups:
        raise Refused(f"{type(model).__name__} has no channels that could be removed")
    return groups


def _names_of(module: nn.Module, names: dict[int, str]) -> list[str]:
    return [names[id(parameter)] for parameter in module.parameters(recurse=False)]


def _across_channels(module: nn.Module) -> bool:
    """Return whether a norm's output for one channel depends on the other channels."""
    if isinstance(module, nn.GroupNorm):
        return module.num_groups < module.num_channels
    name = type(module).__name__.lower()  # timm has many of its own
    return isinstance(module, nn.LayerNorm) or any(word in name for word in _ACROSS)


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
            if max(item.idxs) >= len(unit) or len(item.idxs) != len(roots):
                return None  # the graph lost track: these channels cannot be told apart
            unit[torch.as_tensor(item.idxs)] = torch.as_tensor(roots)
            if (name, dim) in slices:  # a concatenation brings the same channels more than once
                unit = torch.where(unit < 0, slices[name, dim].unit, unit)
            slices[name, dim] = Slice(name, dim, unit, produces)
    filters = [item for item in slices.values() if item.produces]
    normed = any(_across_channels(item.dep.target.module) for item in members)  # type: ignore[attr-defined]
    if normed or not filters or any(item.parameter not in layers for item in filters):
        return None
    return Group(filters[0].parameter, size, tuple(slices.values()))


def _touched(
    module: nn.Module, handler: str, loose: dict[int, int]
) -> Iterator[tuple[Tensor, int, bool]]:
    """Yield (parameter, dimension, whether it is a filter) of all that a step of the graph cuts."""
    if isinstance(module, nn.Parameter):
        if id(module) in loose:
            yield module, loose[id(module)], False
    elif isinstance(module, (*_NORMS, nn.GroupNorm)):
        for parameter in (module.weight, module.bias):
            if parameter is not None:
                yield parameter, 0, False
    elif isinstance(module, (nn.Linear, *_CONV)):
        grouped = isinstance(module, _CONV) and module.groups > 1
        depthwise = grouped and module.groups == module.in_channels == module.out_channels
        if "out_channels" in handler or depthwise:
            yield module.weight, 0, True
            if module.bias is not None:
                yield module.bias, 0, False
        elif grouped:
            raise Refused(
                "grouped convolutions that are not depth-wise cannot lose single channels"
            )
        else:
            yield module.weight, 1, False


def _cuts(item: Any, names: dict[int, str]) -> tuple[str, int] | None:
    """Return the (weight, dimension) that a step of the graph cuts in a linear layer, if any."""
    module = item.dep.target.module
    if not isinstance(module, nn.Linear) or id(module.weight) not in names:
        return None
    return names[id(module.weight)], 0 if "out_channels" in item.dep.handler.__name__ else 1


def _head_groups(model: nn.Module, names: dict[int, str]) -> list[Group]:
    """Return attention heads as groups: rows of ``qkv`` in its three parts, columns of ``proj``.

    For modules built like timm's attention. The residual stream that they read and write stays.
    """
    groups = []
    for module in model.modules():
        qkv, proj = getattr(module, "qkv", None), getattr(module, "proj", None)
        count = getattr(module, "num_heads", None)
        if not (isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear) and count):
            continue
        width = proj.in_features
        if qkv.out_features != 3 * width or width % count:
            continue
        unit = torch.arange(width) // (width // count)
        rows = [Slice(names[id(qkv.weight)], 0, unit.repeat(3), True)]
        if qkv.bias is not None:
            rows.append(Slice(names[id(qkv.bias)], 0, unit.repeat(3), False))
        slices = (*rows, Slice(names[id(proj.weight)], 1, unit, False))
        groups.append(Group(rows[0].parameter, count, slices))
    return groups


@torch.no_grad()
def _leaks(model: nn.Module, groups: list[Group], example: Tensor) -> bool:
    """Return whether the value of a removed channel still reaches the output.

    This depends on the structure alone, so every parameter is replaced by draws, in a copy. Half of
    the units of each group are cut from the layers that read them, and the layers that produce
    those units are drawn twice: the outputs must not differ.
    """
    draw = torch.Generator().manual_seed(0)
    weights = (nn.Linear, *_CONV)
    reading = {id(m.weight) for m in model.modules() if isinstance(m, weights)}
    state = {name: _drawn(value, draw) for name, value in model.named_parameters()}
    for name, value in model.named_buffers():
        if value.is_floating_point():
            plain = name.endswith(("running_mean", "running_var"))
            state[name] = torch.full_like(value, name.endswith("var")) if plain else value.clone()
    other = dict(state)
    keep = {group.name: torch.rand(group.size, generator=draw) < 0.5 for group in groups}
    cut = expand(kept_dims(groups, keep), state)
    parameters = dict(model.named_parameters())
    readers = {(item.parameter, item.dim) for group in groups for item in group.slices
               if item.dim == 1 and id(parameters[item.parameter]) in reading}  # fmt: skip
    read = expand({k: v for k, v in kept_dims(groups, keep).items() if k in readers}, state)
    for name, mask in cut.items():
        other[name] = torch.where(mask, state[name], _drawn(state[name], draw))
        whole = read.get(name, torch.ones_like(mask))
        state[name], other[name] = state[name] * whole, other[name] * whole
    # in a copy: functional_call leaves its values in a module that is registered under two names
    trial = deepcopy(model)
    one, two = (_outputs(trial, values, example) for values in (state, other))
    return bool((one - two).abs().max() > 1e-3 * one.abs().max())


@torch.no_grad()
def _outputs(model: nn.Module, values: Mapping[str, Tensor], example: Tensor) -> Tensor:
    """Return the logits of a model with other parameters and buffers, which stay in it."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name in values:
            tensor.copy_(values[name])
    with evaluating(model):
        return logits_of(model(example))


def _drawn(value: Tensor, draw: torch.Generator) -> Tensor:
    """Return fresh values: of unit gain for weights, around 1 for vectors."""
    fresh = torch.randn(value.shape, generator=draw).to(value)
    if value.ndim < 2:
        return 1 + fresh / 4
    return fresh * (2 / value[0].numel()) ** 0.5


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
        whole = torch.ones(value.shape, dtype=torch.bool, device=value.device)
        masks[name] = masks.get(name, whole) & flags.to(value.device).view(shape)
    return masks


def kept_weights(dims: Mapping[tuple[str, int], Tensor], parameters: Mapping[str, Tensor]) -> int:
    """Return how many weights are kept: each one's size times the kept shares of its dimensions."""
    shares: dict[str, float] = defaultdict(lambda: 1.0)
    for (name, _), flags in dims.items():
        shares[name] *= int(flags.sum()) / len(flags)
    return round(sum(value.numel() * shares[name] for name, value in parameters.items()))
