"""Cut a network's layers: make parameters, buffers and attributes smaller."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from prunebench.compression.constants import CONVOLUTIONS, TRANSPOSED
from prunebench.compression.grouped_convolutions import (
    CHANNEL_NORMS,
    Dims,
    Working,
    is_depthwise,
    regroup,
)
from prunebench.compression.noise import noise_like
from prunebench.pruning.groups import Group, kept_dims
from prunebench.pruning.layers import RECURRENT, weights_of
from prunebench.pruning.modes import evaluating


class Unchanged(nn.Identity):
    """Returns its input, the first argument: stands where a residual block was."""

    def forward(self, input: Tensor, *others: Any, **named: Any) -> Tensor:
        """Return ``input``; a mask and the like have nothing left to act on."""
        del others, named
        return input


def mendable(module: nn.Module) -> bool:
    """Return whether attention can lose heads: its forward pass reads only what can be set.

    Nothing in it may have a size that depends on the number of heads: no norm of all heads, no
    gate, no parameter of its own such as a table of relative positions.
    """
    return (
        hasattr(module, "head_dim")
        and hasattr(module, "attn_dim")
        and isinstance(getattr(module, "norm", nn.Identity()), nn.Identity)
        and getattr(module, "gate", None) is None
        and not list(module.parameters(recurse=False))
    )


def set_heads(attention: nn.Module, count: int) -> None:
    """Tell a mendable attention how many heads its weights have now, in place."""
    held = cast(Any, attention)
    held.num_heads, held.attn_dim = count, count * held.head_dim


def attentions(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules built like timm's attention, by the name of their ``qkv`` weight."""
    names = {id(value): name for name, value in model.named_parameters()}
    return {
        names[id(cast(Any, module).qkv.weight)]: module
        for module in model.modules()
        if isinstance(getattr(module, "qkv", None), nn.Linear) and hasattr(module, "num_heads")
    }


@torch.no_grad()
def identities(model: nn.Module, example: Tensor) -> list[str]:
    """Return the names of the outermost modules without a weight left that return their input.

    Where every weight is zero, what a branch adds cannot depend on the input, so a few inputs show
    it: the example and noise. The input is the first argument. Left out are layers themselves, and
    modules whose input is the same everywhere.

    Args:
        model: the network.
        example: an input [B, C, H, W].
    """
    draw = torch.Generator().manual_seed(0)
    noise = noise_like(example, 3, draw)
    waiting: dict[nn.Module, list[Tensor]] = {}
    verdict: dict[nn.Module, bool] = {}

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        given = args[0].clone() if args and isinstance(args[0], Tensor) else torch.empty(0)
        waiting.setdefault(module, []).append(given)

    def after(module: nn.Module, args: Any, output: Any) -> None:
        given = waiting[module].pop()
        varies = given.numel() > 0 and bool((given != given.flatten()[0]).any())
        same = varies and isinstance(output, Tensor) and torch.equal(output, given)
        verdict[module] = same and verdict.get(module, True)

    handles = []
    for module in model.modules():
        inside = [value for m in module.modules() for value in weights_of(m).values()]
        if inside and not weights_of(module) and not any(value.any() for value in inside):
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
    try:
        with evaluating(model):
            model(torch.cat([example, noise]))
    finally:
        for handle in handles:
            handle.remove()
    found: list[str] = []
    for name, module in model.named_modules():
        inner = any(name.startswith(f"{outer}.") for outer in found)
        if name and not inner and verdict.get(module):
            found.append(name)
    return found


def settle(work: Working, groups: list[Group], keep: dict[str, Tensor], round_to: int) -> list[str]:
    """Keep units that could go where the shapes of layers need them; return the emptied groups.

    Every group keeps at least one unit, and a multiple of ``round_to`` (heads excepted). The groups
    of a convolution keep as many channels as each other, the layers and directions of a recurrent
    module as many units. Units that are kept are zero, so that
    nothing changes; those of the lowest numbers come back first.

    Args:
        work: the working copy.
        groups: its coupled channels and heads.
        keep: group name -> bool [size], True is kept; changed in place.
        round_to: number of channels to keep a multiple of.
    """
    emptied = [group.name for group in groups if not keep[group.name].any()]
    heads = attentions(work.model)
    while True:
        before = {name: flags.clone() for name, flags in keep.items()}
        for group in groups:
            flags = keep[group.name]
            step = 1 if group.name in heads else round_to
            count = -(-max(1, int(flags.sum())) // step) * step
            flags[(~flags).nonzero().flatten()[: max(0, count - int(flags.sum()))]] = True
        for name in work.groups:
            _even(work, name, groups, keep)
        for module in work.model.modules():
            if isinstance(module, nn.RNNBase):
                _even_units(work, module, groups, keep)
        if all(torch.equal(before[name], flags) for name, flags in keep.items()):
            return emptied


def _even(work: Working, name: str, groups: list[Group], keep: dict[str, Tensor]) -> None:
    """Let all groups of a convolution that keep something keep as much as each other."""
    sides = work.blocks(name, kept_dims(groups, keep))
    some = sides[0].any(1) | sides[1].any(1)
    for dim, flags in enumerate(sides):
        most = max(1, int(flags.sum(1).max()))
        for g in some.nonzero().flatten().tolist():
            short = most - int(flags[g].sum())
            for at in (~flags[g]).nonzero().flatten()[:short].tolist():
                position = g * flags.shape[1] + at
                for group in groups:
                    for item in group.slices:
                        if (item.parameter, item.dim) == (f"{name}.weight", dim):
                            unit = int(item.unit[position])
                            keep[group.name][unit] |= unit >= 0


def _even_units(
    work: Working, module: nn.RNNBase, groups: list[Group], keep: dict[str, Tensor]
) -> None:
    """Let all layers and directions of a recurrent module keep as many units as each other."""
    names = {id(value): name for name, value in work.model.named_parameters()}
    dims = kept_dims(groups, keep)
    whole = torch.ones(module.hidden_size, dtype=torch.bool)
    states = [names[id(v)] for own, v in weights_of(module).items() if "_hh_" in own]
    flags = {name: dims.get((name, 1), whole) for name in states}
    most = max(int(kept.sum()) for kept in flags.values())
    for name, kept in flags.items():
        back = (~kept).nonzero().flatten()[: most - int(kept.sum())]
        for group in groups:
            for item in group.slices:
                if (item.parameter, item.dim) == (name, 1):
                    units = item.unit[back]
                    keep[group.name][units[units >= 0]] = True


@torch.no_grad()
def cut(work: Working, dims: Dims) -> None:
    """Make the working copy as small as ``dims`` says, in place."""
    depthwise = {module for module in work.model.modules() if is_depthwise(module)}
    regroup(work, dims)
    grouped = {work.model.get_submodule(name) for name in work.groups}
    norms = [m for m in work.model.modules() if isinstance(m, CHANNEL_NORMS)]
    names = {id(value): name for name, value in work.model.named_parameters()}
    flags = {module: dims.get((names[id(module.weight)], 0)) for module in norms}
    smaller: dict[int, nn.Parameter] = {}  # by the old one's: a shared one stays shared
    for name, value in list(work.model.named_parameters(remove_duplicate=False)):
        place, _, own = name.rpartition(".")
        module = work.model.get_submodule(place)
        if own == "weight" and module in grouped:
            continue
        first = names[id(value)]
        if id(value) not in smaller:
            new: Tensor = value
            for (parameter, dim), kept in dims.items():
                if parameter == first and not kept.all():
                    new = new.index_select(dim, kept.nonzero().flatten().to(value.device))
            smaller[id(value)] = nn.Parameter(new.detach().clone(), value.requires_grad)
        setattr(module, own, smaller[id(value)])
    for norm, left in flags.items():
        if left is not None:
            _cut_buffers(norm, left)
    for module in work.model.modules():
        _resize(module, module in depthwise)


def _cut_buffers(norm: nn.Module, kept: Tensor) -> None:
    for own, value in list(norm.named_buffers(recurse=False)):
        if value.shape == kept.shape:
            setattr(norm, own, value[kept.to(value.device)].clone())


def _resize(module: nn.Module, depthwise: bool) -> None:
    """Set a layer's size attributes to those of its weight."""
    layer = cast(Any, module)
    if isinstance(module, nn.Linear):
        layer.out_features, layer.in_features = module.weight.shape
    elif isinstance(module, CONVOLUTIONS):
        layer.out_channels = module.weight.shape[0]
        layer.groups = layer.out_channels if depthwise else module.groups
        layer.in_channels = module.weight.shape[1] * layer.groups
    elif isinstance(module, TRANSPOSED):
        layer.in_channels, layer.out_channels = module.weight.shape[:2]
        layer.out_channels *= module.groups
    elif isinstance(module, CHANNEL_NORMS):
        layer.num_features = len(module.weight)
    elif isinstance(module, nn.PReLU):
        layer.num_parameters = len(module.weight)
    elif isinstance(module, nn.Embedding):
        layer.num_embeddings, layer.embedding_dim = module.weight.shape
    elif isinstance(module, RECURRENT):
        first, states, *_ = weights_of(module).values()
        layer.input_size, layer.hidden_size = first.shape[1], states.shape[1]
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()
    elif isinstance(module, nn.GroupNorm) and module.num_groups == module.num_channels:
        layer.num_channels = layer.num_groups = len(module.weight)
