"""Checks before the first training: every model of a grid is built and weighed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.evaluation.size import size
from prunebench.experiment.settings import Model, Prunable
from prunebench.pruning import left_out
from prunebench.pruning.layers import sort_layers
from prunebench.tasks.memory import gib, memory
from prunebench.training import models

COPIES = 3  # of the weights that training holds: themselves, gradients, momentum
Shape = tuple[int, int, int]  # channels, height, width


def build(model: Model, classes: int, shape: Shape, width: float = 1.0) -> nn.Module:
    """Build a model, of no particular seed.

    Args:
        model: its settings.
        classes: outputs of its classifier.
        shape: channels, height and width of the images.
        width: how many times as wide as its definition says.

    Raises:
        PrunebenchError: the model is unknown, its constructor fails, or this machine's memory
            cannot hold it.
    """
    _check_fits(model, classes, shape, width)
    try:
        return models.create(model, classes, shape[0], shape[1:], seed=0, width=width)
    except PrunebenchError:
        raise
    except Exception as error:  # a constructor of timm's may raise anything
        what = f"{type(error).__name__}: {error}{models.only_square(*shape[1:])}"
        raise PrunebenchError(f"models: {model.name}: cannot be built: {what}") from error


def _check_fits(model: Model, classes: int, shape: Shape, width: float) -> None:
    """Refuse a network whose weights this machine could not hold, before it has any."""
    try:
        with torch.device("meta"):
            light = models.create(model.drawn(), classes, shape[0], shape[1:], seed=0, width=width)
    except Exception:  # what is wrong with it is told when it is really built
        return
    weights = sum(parameter.numel() for parameter in light.parameters())
    needed = COPIES * 4 * weights
    if needed > memory():
        raise PrunebenchError(
            f"models: {model.name}: {weights:,} weights: training them takes {gib(needed)} GiB of"
            f" memory, and there are {gib(memory())}"
        )


def describe(
    model: Model, prunable: Prunable, *, task: str, classes: int, shape: Shape, width: float = 1.0
) -> dict[str, Any]:
    """Return weights, MACs, what is prunable and what is left alone of a model.

    Args:
        model: its settings.
        prunable: which of its weights may be pruned.
        task: name of the task, for messages.
        classes: outputs of its classifier.
        shape: channels, height and width of the images.
        width: how many times as wide as its definition says.

    Raises:
        PrunebenchError: the model is unknown, cannot take such images, or has nothing to prune.
    """
    network, image = build(model, classes, shape, width), torch.zeros(1, *shape)
    layers = sort_layers(network, prunable, image)
    try:
        found = size(network, image, {}, list(layers.prunable))
    except Exception as error:  # nor is it known what its forward pass may raise
        raise PrunebenchError(
            f"models: {model.name} cannot take the images of {task}"
            f" ({'×'.join(map(str, shape))}): {error}{models.only_square(*shape[1:])}"
        ) from error
    return {
        "task": task,
        "model": model.name if width == 1 else f"{model.name} (width {width:g})",
        "prunable_layers": len(layers.prunable),
        "prunable_share": found["prunable_share"],
        "not_prunable": left_out.left_out(network, layers, prunable),
        "classifier": list(layers.classifier),
        "excluded": list(layers.excluded),
        "unfitting": layers.unfitting,
        "params_total": found["params_total"],
        "macs_dense": found["macs_dense"],
    }
