"""Count multiply-accumulates (MACs): each one multiplication and one addition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode

from prunebench.pruning.layers import RECURRENT, TRANSPOSED, evaluating, weights_of


@torch.no_grad()
def macs(model: nn.Module, image: Tensor, masks: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the MACs of one input, (dense, kept).

    Dense is torch's count (convolutions, linear layers, attention), and for recurrent layers their
    weights times the steps that they take, since the counter sees these on some devices only. Kept
    subtracts, for every masked weight, the positions at which it would have been applied. An
    embedding looks entries up, which takes no MACs.

    Args:
        model: the network.
        image: [1, ...], e.g. [1, C, H, W].
        masks: parameter name -> bool, True is kept.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {module: weights_of(module) for module in model.modules()}
    hidden = saved = 0  # MACs that the counter saw too many (or too few), and that masks save
    begun: dict[nn.Module, int] = {}

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        begun[module] = counter.get_total_flops() // 2

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        nonlocal hidden, saved
        uses = _uses(module, args, kwargs, output)
        if isinstance(module, RECURRENT):
            steps = next(iter(uses.values()))
            by_formula = cast(int, steps) * sum(value.numel() for value in found[module].values())
            hidden += by_formula - (counter.get_total_flops() // 2 - begun[module])
        for own, value in found[module].items():
            mask = masks.get(names.get(id(value), ""))
            if mask is not None:
                gone = (~mask).flatten(1).sum(1)
                saved += int((gone * torch.as_tensor(uses[own], device=gone.device)).sum())
        if isinstance(module, nn.MultiheadAttention):  # applied without a call of the module
            mask = masks.get(names.get(id(module.out_proj.weight), ""))
            saved += 0 if mask is None else int((~mask).sum()) * _places(args, kwargs)[0]

    handles = []
    for module, weights in found.items():
        if weights and not isinstance(module, nn.Embedding):
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # it hides attention from the counter
        with evaluating(model), FlopCounterMode(display=False) as counter:
            model(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
    dense = counter.get_total_flops() // 2 + hidden
    return dense, dense - saved


def _uses(module: nn.Module, args: Any, kwargs: Any, output: Any) -> dict[str, int | list[int]]:
    """Return how often a call applies each weight of a module, or each row of it, by its name."""
    if isinstance(module, nn.RNNBase):
        given = args[0] if args else kwargs["input"]
        packed = isinstance(given, PackedSequence)
        steps = len(given.data) if packed else given[..., 0].numel()
        return dict.fromkeys(weights_of(module), steps)
    if isinstance(module, nn.RNNCellBase):
        given = args[0] if args else kwargs["input"]
        return dict.fromkeys(weights_of(module), given[..., 0].numel())
    if isinstance(module, nn.MultiheadAttention):
        places = dict(zip("qkv", _places(args, kwargs), strict=True))
        joint = [count for count in places.values() for _ in range(module.embed_dim)]
        apart = {f"{part}_proj_weight": count for part, count in places.items()}
        return {"in_proj_weight": joint, **apart}
    if isinstance(module, TRANSPOSED):  # [in, out, ...]: once for each input position
        given = args[0] if args else kwargs["input"]
        return {"weight": given.numel() // module.in_channels}
    return {"weight": output.numel() // len(weights_of(module)["weight"])}


def _places(args: Any, kwargs: Any) -> list[int]:
    """Return how many queries, keys and values a call of attention is given, over the batch."""
    given = [*args[:3], *(kwargs[key] for key in ("query", "key", "value")[len(args) :])]
    return [value[..., 0].numel() for value in given]
