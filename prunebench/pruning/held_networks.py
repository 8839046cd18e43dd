"""Networks as users hold them: wrapped for several devices, or pruned by torch.nn.utils.prune."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunebench.pruning.masks import Masks

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


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
    """Return a copy of a network, also where it holds tensors that were computed from others."""
    computed = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return deepcopy(model, computed)


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
