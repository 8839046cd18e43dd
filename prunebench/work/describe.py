"""Every model of a grid, built and weighed before anything is trained."""

from __future__ import annotations

from typing import Any

import torch

from prunebench import models
from prunebench.errors import PrunebenchError
from prunebench.measure.size import size
from prunebench.pruning.layers import prunable_layers
from prunebench.settings import Model, Prunable


def describe(
    model: Model, prunable: Prunable, *, task: str, classes: int, shape: tuple[int, int, int],
    width: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """Weights and MACs of a model, ``width`` times as wide, for images [channels, height, width].

    Raises PrunebenchError for an unknown model, one that cannot take such images, or one with
    nothing to prune.
    """
    channels, side, _ = shape
    network = models.create(model, classes, channels, side, seed=0, width=width)
    layers = prunable_layers(network, prunable)
    try:
        found = size(network, torch.zeros(1, *shape), {}, list(layers))
    except RuntimeError as error:
        raise PrunebenchError(
            f"models: {model.name} cannot take the images of {task}"
            f" ({'×'.join(map(str, shape))}): {error}"
        ) from error
    return {
        "task": task,
        "model": model.name if width == 1 else f"{model.name} (width {width:g})",
        "prunable_layers": len(layers),
        "params_total": found["params_total"],
        "macs_dense": found["macs_dense"],
    }
