"""Training the same mask from another initialization: a control without the baseline's weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.init import _calculate_fan_in_and_fan_out

from prunebench.experiment.registry import recovery
from prunebench.pruning.curve import Curve
from prunebench.pruning.masks import Masks, apply
from prunebench.storage.hashing import derive_seed
from prunebench.training.loop import Run

# the usual initializations: variance × fan, of which fan (0: in, 1: out), whether it is uniform;
# torch's own, LeCun, He, He by fan out
_LAWS = ((1 / 3, 0, True), (1.0, 0, False), (2.0, 0, False), (2.0, 1, False))
_NEAR = 0.25  # how far, relatively, a layer's variance may lie from a law's


@recovery(length="training", from_scratch=True)
def re_initialization(curve: Curve, model: nn.Module, masks: Masks) -> Run:
    """Train the same mask from another initialization (the control of Frankle 2019).

    The network is built anew from a seed of its own, so that every parameter is drawn as its
    library draws it. Where whole filters are gone, the kept weights are scaled as a network built
    that narrow would draw them: its fan is smaller, its weights are larger. The law of a layer is
    read off its variance. A layer that follows none of the usual laws (such as a transformer's
    constant deviation) is left as drawn, and so are biases. Single weights that are gone do not
    count: the control keeps the dense network's scale.
    """
    model.load_state_dict(_fresh(curve, model).state_dict())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in masks and weight.ndim > 1:
                weight.mul_(narrowing(weight, masks[name]))
    apply(model, masks)
    return curve.train(model, masks, start=0, stop=curve.training.epochs)


def _fresh(curve: Curve, model: nn.Module) -> nn.Module:
    seed = derive_seed(curve.seed, "re-initialization")
    if curve.build_anew is not None:
        return curve.build_anew(seed)
    fresh = curve.build()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in fresh.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return fresh


def narrowing(weight: Tensor, mask: Tensor) -> float:
    """Return the factor by which a layer of only the kept channels would draw larger weights.

    Args:
        weight: [out, in, ...] as drawn for the whole layer.
        mask: bool of its shape.

    Returns:
        1 where no channel is gone, where more than whole channels is gone, or where the layer
        follows no known law.
    """
    rows, columns = mask.flatten(1).any(1), mask.transpose(0, 1).flatten(1).any(1)
    kept, whole = (int(rows.sum()), int(columns.sum())), (len(rows), len(columns))
    share = math.prod(kept) / math.prod(whole)
    if kept == whole or not share or int(mask.sum()) != round(share * mask.numel()):
        return 1.0
    fans, drawn = _calculate_fan_in_and_fan_out(weight), weight.detach().float()
    variance, largest = float(drawn.var()), float(drawn.abs().max())
    near = [
        (abs(variance * fans[fan] / law - 1), fan)
        for law, fan, bounded in _LAWS
        if not bounded or largest <= math.sqrt(3 * law / fans[fan]) * (1 + 1e-6)
    ]
    distance, fan = min(near)
    # fan in counts the columns of a weight, fan out its rows
    return math.sqrt(whole[1 - fan] / kept[1 - fan]) if distance < _NEAR else 1.0
