"""Find the residual blocks that can be removed whole and leave their shortcut.

Blocks are found by trial, not by name: a module is such a block if it returns its input when all
its parameters are zero. A branch that ends in a linear layer or norm of zeros then adds nothing,
also where a nonlinearity follows the addition. A block whose shortcut changes the shape fails,
since the shortcut has weights of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunebench.errors import Refused
from prunebench.pruning.layers import Layer, weights_of
from prunebench.pruning.modes import evaluating

Call = tuple[tuple[Any, ...], dict[str, Any]]  # positional and keyword arguments


@dataclass(frozen=True)
class Block:
    """A module that computes its input plus a branch."""

    name: str  # of the module
    module: nn.Module
    parameters: tuple[str, ...]  # all of its parameters: at zero, it is the identity
    weights: tuple[str, ...]  # the prunable ones among them

    @property
    def channel_dim(self) -> int:
        """The dimension of the channels in its [B, C, H, W] or [B, ..., C]."""
        convolves = any(isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d) for m in _all(self.module))
        return 1 if convolves else -1


def _all(module: nn.Module) -> list[nn.Module]:
    return list(module.modules())


@torch.no_grad()
def find_blocks(model: nn.Module, layers: Mapping[str, Layer], example: Tensor) -> list[Block]:
    """Return the innermost residual blocks of ``model``, in its order.

    Blocks with a weight that may not be pruned, or that a module outside shares, are left out.

    Args:
        model: the network.
        layers: its prunable layers, by the names of their weights.
        example: an input [B, ...] on the model's device.

    Raises:
        Refused: there is no such block.
    """
    calls = _calls(model, example)
    found: dict[str, nn.Module] = {}
    for name, module in reversed(list(model.named_modules())):  # what lies inside comes first
        outer = any(inner.startswith(f"{name}.") for inner in found)
        if name and not outer and calls.get(module) and all(map(_vanishes(module), calls[module])):
            found[name] = module
    blocks = [_block(model, name, found[name]) for name in reversed(found)]
    weights = {id(value) for module in model.modules() for value in weights_of(module).values()}
    named = dict(model.named_parameters())
    blocks = [
        Block(block.name, block.module, block.parameters, _prunable(block, layers))
        for block in blocks
        if block.parameters
        and all(n in layers for n in block.parameters if id(named[n]) in weights)
    ]
    if not blocks:
        raise Refused(
            f"{type(model).__name__} has no residual block that could be removed: none adds to an"
            " unchanged input"
        )
    return blocks


def _prunable(block: Block, layers: Mapping[str, Layer]) -> tuple[str, ...]:
    return tuple(name for name in block.parameters if name in layers)


def _calls(model: nn.Module, example: Tensor) -> dict[nn.Module, list[Call]]:
    """Return the calls of each module with weights that returns a tensor of its input's shape."""
    calls: dict[nn.Module, list[Call]] = {}
    unfit: set[nn.Module] = set()

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        # copies: a later module may overwrite its input
        copies = tuple(a.clone() if isinstance(a, Tensor) else a for a in args)
        calls.setdefault(module, []).append((copies, kwargs))

    def after(module: nn.Module, args: Any, output: Any) -> None:
        first = args[0] if args else None
        shapes = [x.shape for x in (first, output) if isinstance(x, Tensor)]
        if len(shapes) < 2 or shapes[0] != shapes[1]:
            unfit.add(module)

    handles = []
    for module in model.modules():
        if len(_all(module)) > 1 and any(map(weights_of, _all(module))):
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
    try:
        with evaluating(model):
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return {module: made for module, made in calls.items() if module not in unfit}


def _vanishes(module: nn.Module) -> Callable[[Call], bool]:
    """Return a check whether a call returns its first argument once all parameters are zero."""
    zeros = {name: torch.zeros_like(value) for name, value in module.named_parameters()}

    def check(call: Call) -> bool:
        args, kwargs = call
        given = args[0].clone()
        with evaluating(module):
            output = functional_call(module, zeros, args, kwargs)
        return bool(torch.equal(output, given))

    return check


def _block(model: nn.Module, name: str, module: nn.Module) -> Block:
    """Return a block with its parameters' names, or with none if it shares one with the outside."""
    first = {id(value): own for own, value in model.named_parameters()}
    outside = {
        id(value)
        for own, value in model.named_parameters(remove_duplicate=False)
        if not own.startswith(f"{name}.")
    }
    inside = [id(value) for value in module.parameters()]
    shared = any(key in outside for key in inside)
    return Block(name, module, () if shared else tuple(first[key] for key in inside), ())
