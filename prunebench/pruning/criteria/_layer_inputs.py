"""The inputs that a layer's weights multiply, as rows; unfolded for convolutions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.pruning.criteria._batches_in_step import OutOfStepError, layer_by_layer
from prunebench.pruning.layers import RECURRENT, Layer, without_inputs
from prunebench.pruning.view import View

Reduce = Callable[[Tensor], Tensor]  # rows [groups, some, d] of a layer's inputs -> what is summed
_UNFOLDED = 1 << 26  # numbers of unfolded inputs to hold at a time


def matrix(layer: Layer) -> Tensor:
    """Return a layer's weight as [groups, out / groups, d], d inputs for each output; detached."""
    weight = layer.weight.detach()
    return weight.reshape(getattr(layer.module, "groups", 1), -1, weight[0].numel())


def input_rows(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return every vector that a layer's weight multiplies: [groups, samples · positions, d].

    For a convolution these are its patches (with its stride, padding, dilation and groups), in the
    order of ``weight.flatten(1)``: input channel, then kernel position.

    Args:
        module: a linear or recurrent layer, or a convolution.
        inputs: [samples, ..., features], or [samples, channels, ...] for a convolution.
    """
    if isinstance(module, (nn.Linear, *RECURRENT)):
        return inputs.reshape(1, -1, inputs.shape[-1])
    assert isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padding = module._reversed_padding_repeated_twice
    padded = functional.pad(inputs, [int(size) for size in padding], mode)
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    sizes = [
        (padded.shape[2 + axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis in range(len(kernel))
    ]
    places = []
    for place in product(*map(range, kernel)):
        cut = [slice(None), slice(None)]
        for axis, offset in enumerate(place):
            first = offset * dilation[axis]
            cut.append(slice(first, first + stride[axis] * (sizes[axis] - 1) + 1, stride[axis]))
        places.append(padded[tuple(cut)].flatten(2))
    patches = torch.stack(places, dim=2)  # [samples, in, kernel positions, positions]
    patches = patches.unflatten(1, (module.groups, -1)).flatten(2, 3)
    return patches.permute(1, 0, 3, 2).flatten(1, 2)


def input_sums(view: View, names: Sequence[str], reduce: Reduce) -> dict[str, Tensor]:
    """Return the sum of ``reduce(rows)`` over the calibration inputs of each named layer.

    In eval mode, and in single precision at least. Modules that share a weight are summed.

    Args:
        view: gives the layers and the calibration samples.
        names: the weights of the layers.
        reduce: applied to rows [groups, some, d] of a layer's inputs.

    Raises:
        Refused: a layer is an embedding, attention or a transposed convolution, never runs as a
            module, or does not compute its weight times its input.
    """
    sums: dict[str, Tensor] = {}

    def see(layer: Layer, module: nn.Module, inputs: Tensor, output: Any) -> None:
        if layer.name not in sums and not isinstance(module, RECURRENT):
            _check(layer, module, inputs[:1], output[:1])
        _add(sums, layer.name, module, inputs, reduce)

    applied: list[tuple[nn.Module, Layer]] = []
    for name in names:
        layer = view.layers[name]
        if isinstance(layer.module, nn.Embedding):
            raise Refused(
                f"{name!r} is an embedding, which multiplies no inputs; exclude it"
                f" (prunable: {{exclude: [{name}]}})"
            )
        if reason := without_inputs(layer):
            raise Refused(
                f"the inputs of {name!r} cannot be seen: {reason}; exclude it"
                f" (prunable: {{exclude: [{name}]}})"
            )
        applied += [(module, layer) for module in _applying(view, layer)]
    view.run_on_inputs(applied, see)
    _require(names, sums)
    return sums


@torch.no_grad()
def change_in_order(
    view: View, names: Sequence[str], reduce: Reduce, change: Callable[[str, Tensor], None]
) -> None:
    """Change layers in the order in which they run, each on what the changed ones before it give.

    Where every batch comes to each layer once, all go through the network together, in one pass;
    else each layer takes a pass of its own.

    Args:
        view: gives the network, which is changed, its layers and the calibration samples.
        names: the weights of the layers.
        reduce: as for ``input_sums``.
        change: called with a layer's name and its sum; it sets the layer's weight.

    Raises:
        Refused: as ``input_sums``.
    """
    layers = {view.layers[name].module: view.layers[name] for name in names}
    before: dict[str, Tensor] = {}
    sums: dict[str, Tensor] = {}

    def see(module: nn.Module, inputs: Tensor) -> None:
        name = layers[module].name
        if name not in sums:
            _check(layers[module], module, inputs[:1], module.forward(inputs[:1]))
        _add(sums, name, module, inputs, reduce)

    def changed(module: nn.Module) -> None:
        name = layers[module].name
        before[name] = layers[module].weight.clone()
        change(name, sums.pop(name))

    alone = all(_applying(view, layer) == [layer.module] for layer in layers.values())
    plain = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    if alone and len(layers) == len(names) and all(isinstance(one, plain) for one in layers):
        inputs = [inputs for inputs, _ in view.batches]
        try:
            layer_by_layer(view.model, layers, inputs, see, changed)
        except OutOfStepError:
            for name, weight in before.items():
                view.layers[name].weight.copy_(weight)
        else:
            return _require(names, before)
    for name in _order(view, names):
        change(name, input_sums(view, [name], reduce)[name])


def _applying(view: View, layer: Layer) -> list[nn.Module]:
    """Return the modules that apply a layer's weight."""
    return [
        module
        for module in view.model.modules()
        if type(module) is type(layer.module)
        and getattr(module, layer.parameter, None) is layer.weight
    ]


def _order(view: View, names: Sequence[str]) -> list[str]:
    """Return the layers in the order in which they first run."""
    ran: dict[str, None] = {}

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        ran.update({name: None for name in names if view.layers[name].module is module})

    view.run({view.layers[name].module: hook for name in names})
    return list(ran | dict.fromkeys(names))


def _add(
    sums: dict[str, Tensor], name: str, module: nn.Module, inputs: Tensor, reduce: Reduce
) -> None:
    """Add the sum over a batch to those of the batches before."""
    values = inputs.detach()
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    rows = input_rows(module, values[:1])
    step = max(1, _UNFOLDED // rows.numel())
    for part in values.split(step):
        found = reduce(input_rows(module, part))
        sums[name] = sums[name].add_(found) if name in sums else found


def _require(names: Sequence[str], ran: Collection[str]) -> None:
    """Refuse layers that never ran."""
    idle = [name for name in names if name not in ran]
    if idle:
        raise Refused(f"the model never runs {', '.join(idle)} as a module: no inputs to look at")


def _check(layer: Layer, module: nn.Module, inputs: Tensor, output: Tensor) -> None:
    """Refuse a module that does not compute W·x: a subclass may do anything."""
    inputs = inputs.detach()
    inputs = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
    weight = matrix(layer).to(inputs.dtype)
    found = input_rows(module, inputs) @ weight.mT  # [groups, positions, out / groups]
    found = found.movedim(1, 2).flatten(0, 1)  # [out, positions]
    if isinstance(module.bias, Tensor):
        found = found + module.bias.detach().to(found)[:, None]
    linear = isinstance(module, nn.Linear)
    expected = (output.flatten(0, -2).mT if linear else output[0].flatten(1)).to(found.dtype)
    same = found.shape == expected.shape
    if not same or (found - expected).norm() > 0.02 * expected.norm() + 1e-6:
        raise Refused(
            f"{layer.name!r} ({type(module).__name__}) computes something else than its weight"
            f" times its input; exclude it (prunable: {{exclude: [{layer.name}]}})"
        )
