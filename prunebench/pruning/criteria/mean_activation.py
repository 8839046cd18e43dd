"""Criterion: how strongly a channel is active."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("filter",), needs=("batches", "activations"))
def mean_activation(view: View) -> Scores:
    """Mean activation over samples and positions (Molchanov 2017, section 2.2)."""
    return view.activation_means(lambda activation: activation)
