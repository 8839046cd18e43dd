"""Say which weights of a network no sparsity is a share of, since they may not be pruned."""

from __future__ import annotations

from torch import nn

from prunebench.experiment.settings import Prunable
from prunebench.pruning.layer_names import fits
from prunebench.pruning.layers import Layers
from prunebench.text.numbers import percent

WORTH_SAYING = 0.01  # share of all parameters from which on they are named
_SHOWN = 5  # names that a message gives


def left_out(model: nn.Module, layers: Layers, settings: Prunable | None = None) -> dict[str, int]:
    """Return the weights that nobody asked to keep and that are not prunable, with their size.

    Weights here have at least two dimensions, the first of them more than one entry long: those of
    bilinear layers, conditional convolutions and of a network's own modules; not biases, scales or
    what is added to every image alike, such as positions.

    Args:
        model: the network.
        layers: its layers, sorted into prunable ones and those that are left alone on purpose.
        settings: what is excluded, be it prunable or not.
    """
    known = {*layers.prunable, *layers.classifier, *layers.excluded}
    patterns = [] if settings is None else settings.exclude
    return {
        name: value.numel()
        for name, value in model.named_parameters()
        if name not in known
        and not any(fits(pattern, name) for pattern in patterns)
        and len(value) > 1
        and sum(size > 1 for size in value.shape) > 1
    }


def said(model: nn.Module, layers: Layers, settings: Prunable | None = None) -> str:
    """Return one line that says of which share of the parameters a sparsity is, and what is not.

    Empty where the weights left out are less than ``WORTH_SAYING`` of all parameters.

    Args:
        model: the network.
        layers: its layers, sorted into prunable ones and those that are left alone on purpose.
        settings: what is excluded, be it prunable or not.
    """
    found = left_out(model, layers, settings)
    total = sum(value.numel() for value in model.parameters())
    if sum(found.values()) < WORTH_SAYING * total:
        return ""
    prunable = sum(layer.weight.numel() for layer in layers.prunable.values())
    largest = sorted(found, key=lambda name: -found[name])
    names = [f"{name} ({found[name]:,})" for name in largest[:_SHOWN]]
    more = [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    share = percent(round(prunable / total, 3))
    return (
        f"a sparsity is a share of the {share} of this network's parameters"
        f" that are prunable; not prunable are {', '.join([*names, *more])}"
    )
