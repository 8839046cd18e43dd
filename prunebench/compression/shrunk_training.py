"""Train the smaller network that is left where whole units are gone, in place of the masked one.

A unit is gone where its masks leave nothing of it: a filter with its bias, its norm and the columns
that read it, a head, a whole residual block. What is left can then be trained on its own: a masked
weight has no gradient and stays zero, so that the masked network takes the same steps. That is not
taken on trust. One step in training mode, in double precision, must have the same loss and the same
gradients, which also finds networks that draw at random for each unit (dropout).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from prunebench.compression.grouped_convolutions import Dims, Working, strip, working_copy
from prunebench.compression.surgery import Unchanged, attentions, cut, mendable, set_heads
from prunebench.errors import Refused, reason_of
from prunebench.pruning.held_networks import copied
from prunebench.pruning.layers import weights_of
from prunebench.pruning.masks import Masks
from prunebench.training.loop import logits_of

CHECKED = 8  # samples of the step by which the two networks are compared
_SAME = 1e-8  # of the largest gradient: what rounding in double precision explains
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class SmallerNetwork:
    """The network of the units that are left, its masks, and the way back to the whole one."""

    model: nn.Module
    masks: Masks  # of the parameters that are still masked in part
    places: dict[str, Tensor]  # of the state dict: where in the flat whole tensor a value stands
    before: dict[str, Tensor]  # the state of the whole network, its masks applied
    momenta: dict[str, float | None]  # of the batch norms that keep statistics, by their names

    def whole(self, state: State) -> dict[str, Tensor]:
        """Return the state of the whole network for one of the smaller network's.

        What is gone is zero. A batch norm sees only zeros there, which draw its statistics to zero.
        Blocks that are gone as a whole keep the statistics that they had.

        Args:
            state: the smaller network's, after any training.
        """
        found = {name: value.clone() for name, value in self.before.items()}
        for norm, momentum in self.momenta.items():
            counted = f"{norm}.num_batches_tracked"
            then, now = int(self.before[counted]), int(state[counted])
            share = (then / now if now else 1.0) if momentum is None else 1 - momentum
            left = share if momentum is None else share ** (now - then)
            for own in ("running_mean", "running_var"):
                found[f"{norm}.{own}"] *= left
        for name, value in state.items():
            flat = found[name].flatten()
            flat[self.places[name].flatten()] = value.flatten()
            found[name] = flat.view(found[name].shape)
        return found


def smaller_network(
    model: nn.Module, masks: Masks, inputs: Tensor, targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> SmallerNetwork:  # fmt: skip
    """Return the network of the units that masks leave, verified to train like the masked one.

    Args:
        model: the network, its masks applied; it is not changed.
        masks: parameter name -> bool, True is kept.
        inputs: a few training inputs [B, ...], as the network takes them, on its device.
        targets: theirs, [B, ...].
        loss: (outputs, targets) -> mean loss, a scalar.

    Raises:
        Refused: no whole unit is gone, or the smaller network cannot be built or trains otherwise.
    """
    before = {name: value.detach().clone() for name, value in model.state_dict().items()}
    types = {value.dtype for value in before.values() if value.is_floating_point()}
    if len(types) != 1:
        raise Refused("its parameters are of several types")
    try:
        small = _cut(_numbered(model, before), masks)
    except Refused:
        raise
    except Exception as error:  # surgery on any network
        raise Refused(f"it cannot be cut: {reason_of(error)}") from error
    places = {
        name: value.long() if value.is_floating_point() else torch.arange(value.numel())
        for name, value in small.state_dict().items()
    }
    if sum(map(Tensor.numel, places.values())) == sum(map(Tensor.numel, before.values())):
        raise Refused("no whole unit is gone")
    small = small.to(types.pop())
    small.load_state_dict({
        name: before[name].flatten()[at.flatten()].view(small.state_dict()[name].shape)
        for name, at in places.items()
    })  # fmt: skip
    left = {name: masks[name].flatten()[places[name].flatten()].view(value.shape)
            for name, value in small.named_parameters() if name in masks}  # fmt: skip
    momenta = {
        name: cast(Any, module).momentum
        for name, module in small.named_modules()
        if getattr(module, "num_batches_tracked", None) is not None
    }
    found = SmallerNetwork(
        small.to(memory_format=torch.channels_last),
        {name: mask for name, mask in left.items() if not mask.all()}, places, before, momenta,
    )  # fmt: skip
    _verify(model, found, inputs, targets, loss)
    return found


@torch.no_grad()
def _numbered(model: nn.Module, state: State) -> nn.Module:
    """Return a copy in double precision whose values are their places in the flat tensors.

    What is cut from it says by itself where it came from.
    """
    copy = copied(model).double()
    for value in copy.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.arange(value.numel()).view(value.shape))
    return copy


def _cut(model: nn.Module, masks: Masks) -> nn.Module:
    """Return the numbered network without the units of which the masks leave nothing."""
    for name in _gone(model, masks):
        model.set_submodule(name, Unchanged())
    work = working_copy(model)
    dims = _kept(work, masks)
    heads = {
        module: int(dims[name, 0].sum()) // (3 * int(cast(Any, module).head_dim))
        for name, module in attentions(work.model).items()
        if (name, 0) in dims and not dims[name, 0].all()
    }
    if not all(map(mendable, heads)):
        raise Refused("its attention has parts of the size of its heads")
    cut(work, dims)
    for module, count in heads.items():
        set_heads(module, count)
    strip(work)
    return work.model


def _gone(model: nn.Module, masks: Masks) -> list[str]:
    """Return the names of the outermost modules of several layers of which nothing is left."""
    empty = {name for name, mask in masks.items() if not mask.any()}
    found: list[str] = []
    for name, module in model.named_modules():
        own = [f"{name}.{inner}" for inner, _ in module.named_parameters()]
        inside = any(name.startswith(f"{outer}.") for outer in found)
        layers = any(map(weights_of, module.modules())) and not weights_of(module)
        if name and layers and not inside and empty.issuperset(own):
            found.append(name)
    return found


def _kept(work: Working, masks: Masks) -> Dims:
    """Return along which positions of its dimensions something is left of each parameter."""
    parameters = dict(work.model.named_parameters())
    weights = {
        id(value) for module in work.model.modules() for value in weights_of(module).values()
    }
    # an entry that is zero is still looked up by its number, as that of padding is
    tables = {id(m.weight) for m in work.model.modules() if isinstance(m, nn.Embedding)}
    dims: dict[tuple[str, int], Tensor] = {}
    for name, mask in masks.items():
        if name not in parameters:
            continue  # of a block that is gone
        # kernels keep their size
        size = min(2, mask.ndim) if id(parameters[name]) in weights else mask.ndim
        for dim in range(int(id(parameters[name]) in tables), size):
            dims[name, dim] = mask.movedim(dim, 0).reshape(mask.shape[dim], -1).any(1).cpu()
    for name, groups in work.groups.items():
        weight = f"{name}.weight"
        if (weight, 0) in dims:
            alive = dims[weight, 0].view(groups, -1).any(1)
            dims[weight, 1] = alive.repeat_interleave(parameters[weight].shape[1] // groups)
    return dims


def _verify(
    model: nn.Module, small: SmallerNetwork, inputs: Tensor, targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:  # fmt: skip
    """Refuse a smaller network whose first step is not the masked network's."""
    inputs, targets = (v.double() if v.is_floating_point() else v for v in (inputs, targets))
    try:
        (want, gradients), (have, others) = (
            _step(network, inputs, targets, loss) for network in (model, small.model)
        )
    except Exception as error:  # a forward pass may raise anything
        raise Refused(f"it does not run: {reason_of(error)}") from error
    largest = max((float(value.abs().max()) for value in gradients.values()), default=0.0)
    worst = 0.0
    for name, value in others.items():
        whole = gradients[name].flatten()[small.places[name].flatten()].view(value.shape)
        worst = max(worst, float((whole - value).abs().max()))
    same = torch.isclose(want, have, rtol=_SAME, atol=0.0) and worst <= _SAME * largest
    if not same:
        raise Refused("in training it differs from the masked network")


def _step(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return loss and gradients of one step of a copy in training mode and double precision."""
    copy = copied(model).double().train()
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        value = loss(logits_of(copy(inputs.clone())), targets)
    value.backward()
    gradients = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in copy.named_parameters()
    }
    return value.detach(), gradients
