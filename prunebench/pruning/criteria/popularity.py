"""Criterion: how often an entry of an embedding is looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.layers import Layer
from prunebench.pruning.view import Scores, View


@criterion(patterns=("row",), needs=("batches", "activations"))
def popularity(view: View) -> Scores:
    """How often the calibration samples look an entry up: the control for rows of embeddings.

    What is rare goes first, whatever was learned of it.

    Raises:
        Refused: no embedding may be pruned, or one of them never runs.
    """
    counts: dict[str, Tensor] = {}

    def hook_of(layer: Layer) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            found = torch.bincount(inputs[0].flatten(), minlength=len(layer.weight)).float()
            counts[layer.name] = counts.get(layer.name, 0) + found

        return hook

    hooks: dict[nn.Module, Callable[[nn.Module, Any, Any], None]] = {
        module: hook_of(table)
        for table in view.tables.values()
        for module in view.model.modules()
        if isinstance(module, nn.Embedding) and module.weight is table.weight
    }
    view.run(hooks)
    idle = [name for name in view.tables if name not in counts]
    if idle:
        raise Refused(f"the model never looks anything up in {', '.join(idle)}")
    return counts
