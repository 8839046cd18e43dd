"""Networks as users hold them: wrapped for several devices, or pruned by torch.nn.utils.prune."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from copy import deepcopy

from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunebench.errors import PrunebenchError
from prunebench.pruning.masks import Masks

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def require_tensor(example: object) -> None:
    """Refuse an input to trace with that is none of torch's tensors: PrunebenchError."""
    if not isinstance(example, Tensor):
        raise PrunebenchError(
            f"example must be a tensor that the network takes, [B, ...], found a"
            f" {type(example).__name__}"
        )


def unwrapped(model: nn.Module) -> tuple[nn.Module, str]:
    """Return the network inside a wrapper, and what the wrapper puts before its names.

    Args:
        model: a network, or its ``DataParallel`` or ``DistributedDataParallel``.
    """
    prefix = ""
    while isinstance(model, _WRAPPERS):
        model, prefix = model.module, f"{prefix}module."
    return model, prefix


def copied(model: nn.Module) -> nn.Module:
    """Return a copy of a network, also where it holds tensors that were computed from others.

    Some attentions keep what they computed for inference, and forget it when they are set to
    train: the copy is set to train once, so that it computes anew from its own weights.
    """
    known: dict[int, object] = {}
    for module in model.modules():
        for value in _tensors(vars(module)):
            if not value.is_leaf:
                known[id(value)] = value.detach().clone()
        # of its ten kinds of hooks hardly a module has any; deepcopy would take each apart
        for held in vars(module).values():
            if type(held) in (dict, OrderedDict) and not held:
                known[id(held)] = type(held)()
    copy = deepcopy(model, known)
    compact(copy)
    modes = [(module, module.training) for module in copy.modules()]
    copy.train()
    for module, mode in modes:
        module.training = mode
    return copy


def compact(model: nn.Module) -> None:
    """Lay the weights of recurrent layers in one piece of a GPU's memory again, in place.

    A copy has them in many, which cuDNN would gather at every call. Nothing elsewhere.
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()


def _tensors(held: object) -> Iterator[Tensor]:
    """Yield the tensors in what a module holds, also in lists and dictionaries."""
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, (dict, list, tuple)):
        for value in held.values() if isinstance(held, dict) else held:
            yield from _tensors(value)


def made_permanent(model: nn.Module) -> Masks:
    """Turn what torch.nn.utils.prune pruned into plain parameters that are zero, in place.

    They are the same objects as ``weight_orig`` before, so that an optimizer goes on with them.

    Args:
        model: the network.

    Returns:
        Its masks by the parameters' plain names, bool, True is kept; none where none was pruned.
    """
    masks: Masks = {}
    for place, module in model.named_modules():
        hooks = list(module._forward_pre_hooks.values())
        for hook in hooks:
            if isinstance(hook, torch_prune.BasePruningMethod):
                name = hook._tensor_name
                masks[f"{place}.{name}".lstrip(".")] = getattr(module, f"{name}_mask") != 0
                torch_prune.remove(module, name)
    return masks
