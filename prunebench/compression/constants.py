"""Find the inner values of a network that do not depend on its input, and what they are.

This is abstract interpretation with NaN: the network runs once on an image of NaN, which here means
"depends on the input". Arithmetic spreads NaN by itself. Where a factor of exactly zero stops the
dependence, as in a dead filter or under a scale of zero, the rules below stop NaN too. A value that
is not NaN at the end is the constant that every input gives. All rules err on the side of NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from prunebench.errors import Refused
from prunebench.pruning.modes import evaluating

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_aten = torch.ops.aten
_READ = (_aten._local_scalar_dense, _aten.is_nonzero, _aten.item)  # into a number of Python's


@dataclass
class Inputs:
    """The least and largest value of each input column of a layer, NaN where it depends."""

    low: Tensor  # [in]
    high: Tensor  # [in]

    @property
    def constant(self) -> Tensor:
        """Bool [in]: the same value at every position, for every input."""
        return self.low == self.high


@torch.no_grad()
def layer_inputs(model: nn.Module, example: Tensor) -> dict[nn.Module, Inputs]:
    """Return the inputs of each convolution and linear layer, in eval mode.

    Layers that are never called are left out. The model is unchanged afterwards.

    Args:
        model: the network.
        example: an input [B, ...], of which only the shape, type and device count; of whole
            numbers it must hold ones that the model takes.

    Raises:
        Refused: the course of the computation depends on whole numbers of the input.
    """
    found: dict[nn.Module, Inputs] = {}

    def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
        values = args[0]
        channel = 1 if isinstance(module, CONVOLUTIONS) else values.ndim - 1
        flat = values.movedim(channel, 0).flatten(1)
        if flat.numel():
            low, high = flat.amin(1), flat.amax(1)
        else:  # of no places, as a detector's boxes where it finds none, nothing is known
            low = high = torch.full((len(flat),), torch.nan).to(flat)
        if module in found:
            low = torch.minimum(low, found[module].low)
            high = torch.maximum(high, found[module].high)
        found[module] = Inputs(low, high)

    readers = (nn.Linear, *CONVOLUTIONS)
    handles = [m.register_forward_pre_hook(hook) for m in model.modules() if isinstance(m, readers)]
    try:
        if example.is_floating_point():
            given, rules = torch.full_like(example, torch.nan), _Rules()
        else:  # no whole number says that it depends on the input
            given = example.clone()
            rules = _Rules(given)
        with evaluating(model), rules:
            model(given)
    finally:
        for handle in handles:
            handle.remove()
    return found


class _Rules(TorchDispatchMode):
    """Runs every operation as it is, except those in which zero stops NaN.

    Whole numbers and truth values that depend on the input are remembered, since they cannot be
    NaN; what is computed from them is NaN, or remembered in its turn.
    """

    def __init__(self, *given: Tensor) -> None:
        super().__init__()
        self.depend = {id(value): value for value in given}  # held, so that each id stays its own

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if any(id(value) in self.depend for value in tree_leaves((args, kwargs))):
            return self._of_numbers(func, args, kwargs)
        rule = _RULES.get(func.overloadpacket)
        return func(*args, **kwargs) if rule is None else rule(func, *args, **kwargs)

    def _of_numbers(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Run an operation on whole numbers that depend on the input."""
        if func.overloadpacket in _READ:
            raise Refused(
                "the course of its computation depends on whole numbers of the input, such as"
                " tokens: which units are constant cannot be told"
            )
        floats = [v for v in args if isinstance(v, Tensor) and v.is_floating_point()]
        if func.overloadpacket in (_aten.mul, _aten.mul_) and floats:
            unknown = (self._as_nan(value, floats[0]) for value in args)
            return _product(func, *unknown)
        if func.overloadpacket is _aten.embedding:
            return _entries(*args[:2])
        out = func(*args, **kwargs)
        for value in tree_leaves(out):
            if isinstance(value, Tensor) and value.is_floating_point():
                value.fill_(torch.nan)
            elif isinstance(value, Tensor):
                self.depend[id(value)] = value
        return out

    def _as_nan(self, value: Any, like: Tensor) -> Any:
        known = id(value) not in self.depend
        return value if known else torch.full(value.shape, torch.nan).to(like)


def _entries(table: Tensor, numbers: Tensor) -> Tensor:
    """Embeddings of unknown entries: a feature that all entries share is what they share."""
    low, high = table.amin(0), table.amax(0)
    shared = torch.where(low == high, low, torch.nan)
    return shared.expand(*numbers.shape, -1).contiguous()


def _bilinear(operation: Callable[[Tensor, Tensor], Tensor], one: Any, two: Any) -> Tensor:
    """Return ``operation(one, two)`` with zero times NaN as zero."""
    if not (isinstance(one, Tensor) and isinstance(two, Tensor)) or not one.is_floating_point():
        return operation(one, two)
    known = operation(one.nan_to_num(), two.nan_to_num())
    reached = [
        operation(left.to(one), right.to(one))
        for left, right in ((one.isnan(), two != 0), (one != 0, two.isnan()))
    ]
    # counts of whole numbers, up to rounding
    return known.masked_fill((reached[0] + reached[1]) > 0.5, torch.nan)


def _convolution(func: Any, x: Tensor, weight: Tensor, bias: Any, *rest: Any) -> Tensor:
    out = _bilinear(lambda a, b: func(a, b, None, *rest), x, weight)
    return out if bias is None else out + bias.view(-1, *[1] * (out.ndim - 2))


def _addmm(func: Any, bias: Tensor, one: Tensor, two: Tensor, **scales: Any) -> Tensor:
    if scales:
        return func(bias, one, two, **scales)
    return bias + _bilinear(torch.mm, one, two)


def _product(func: Any, one: Any, two: Any) -> Tensor:
    if func is _aten.mul_.Tensor:
        return one.copy_(_bilinear(torch.mul, one, two))
    return _bilinear(func, one, two)


def _batch_norm(func: Any, x: Tensor, weight: Any, bias: Any, *rest: Any) -> Any:
    """Batch norm and group norm: a channel of scale zero is its shift."""
    out, *others = func(x, weight, bias, *rest)
    if weight is not None:
        shift = torch.zeros_like(weight) if bias is None else bias
        shape = (-1, *[1] * (out.ndim - 2))
        out = torch.where(weight.view(shape) == 0, shift.view(shape), out)
    return (out, *others)


def _layer_norm(func: Any, x: Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    out, *others = func(x, shape, weight, bias, eps)
    if weight is not None:
        shift = torch.zeros_like(weight) if bias is None else bias
        out = torch.where(weight == 0, shift.expand_as(out), out)
    return (out, *others)


def _attention(
    func: Any, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **more: Any
) -> Any:
    """Attention: its weights sum to one, so a value that all tokens share stays as it is."""
    low, high = value.amin(-2, keepdim=True), value.amax(-2, keepdim=True)
    shared = torch.where(low == high, low, torch.nan)
    plain = func(query.nan_to_num(), key.nan_to_num(), value.nan_to_num(), *rest, **more)
    out, *others = plain if isinstance(plain, tuple) else (plain,)
    out = shared.expand_as(out).contiguous()
    return (out, *others) if isinstance(plain, tuple) else out


_RULES: Mapping[Any, Callable[..., Any]] = {
    _aten.convolution: _convolution,
    _aten.addmm: _addmm,
    _aten.mm: _product,
    _aten.bmm: _product,
    _aten.mul: _product,
    _aten.mul_: _product,
    _aten.native_batch_norm: _batch_norm,
    _aten._native_batch_norm_legit_no_training: _batch_norm,
    _aten.cudnn_batch_norm: _batch_norm,
    _aten.native_group_norm: _batch_norm,
    _aten.native_layer_norm: _layer_norm,
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten._scaled_dot_product_flash_attention: _attention,
    _aten._scaled_dot_product_efficient_attention: _attention,
    _aten._scaled_dot_product_cudnn_attention: _attention,
}
