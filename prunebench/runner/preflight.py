"""Checks before the first training: every model of a grid is built and weighed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, text_of
from prunebench.evaluation.size import size
from prunebench.experiment.settings import Model, Prunable
from prunebench.pruning import left_out
from prunebench.pruning.layers import sort_layers
from prunebench.tasks.memory import gib, memory
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from prunebench.training.loop import logits_of

COPIES = 3  # of the weights that training holds: themselves, gradients, momentum


def build(model: Model, facts: NetworkFacts, width: float = 1.0) -> nn.Module:
    """Build a model, of no particular seed.

    Args:
        model: its settings.
        facts: what it must know of the data.
        width: how many times as wide as its definition says.

    Raises:
        PrunebenchError: the model is unknown, its constructor fails, or this machine's memory
            cannot hold it.
    """
    _check_fits(model, facts, width)
    try:
        return models.create(model, facts, seed=0, width=width)
    except PrunebenchError:
        raise
    except (Exception, SystemExit) as error:  # a constructor of timm's may raise anything
        what = f"{type(error).__name__}: {text_of(error)}{models.only_square(facts)}"
        raise PrunebenchError(f"models: {model.name}: cannot be built: {what}") from error


def _check_fits(model: Model, facts: NetworkFacts, width: float) -> None:
    """Refuse a network whose weights this machine could not hold, before it has any."""
    try:
        with torch.device("meta"):
            light = models.create(model.drawn(), facts, seed=0, width=width)
    except (Exception, SystemExit):  # what is wrong with it is told when it is really built
        return
    weights = sum(parameter.numel() for parameter in light.parameters())
    needed = COPIES * 4 * weights
    if needed > memory():
        raise PrunebenchError(
            f"models: {model.name}: {weights:,} weights: training them takes {gib(needed)} GiB of"
            f" memory, and there are {gib(memory())}"
        )


def describe(
    model: Model, prunable: Prunable, *, task: str, facts: NetworkFacts, example: Tensor,
    unfit: Callable[[Tensor], str | None], item: str = "image", width: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """Return weights, MACs, what is prunable and what is left alone of a model.

    Args:
        model: its settings.
        prunable: which of its weights may be pruned.
        task: name of the task, for messages.
        facts: what it must know of the data.
        example: an input, [1, ...].
        unfit: says why outputs [1, ...] cannot answer the task, where they cannot.
        item: what a single input is called.
        width: how many times as wide as its definition says.

    Raises:
        PrunebenchError: the model is unknown, cannot take such inputs or give such targets, or has
            nothing to prune.
    """
    network = build(model, facts, width)
    layers = sort_layers(network, prunable, example)
    try:
        found = size(network, example, {}, list(layers.prunable))
        with torch.inference_mode():
            outputs = network.eval()(example)
    except (Exception, SystemExit) as error:  # nor is it known what its forward pass may raise
        raise PrunebenchError(
            f"models: {model.name} cannot take the inputs of {task}"
            f" ({'×'.join(map(str, example.shape[1:]))}): {text_of(error)}"
            f"{models.only_square(facts)}"
        ) from error
    if reason := unfit(logits_of(outputs)):
        raise PrunebenchError(f"models: {model.name} cannot learn {task}: {reason}")
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
        "input": item,
    }
