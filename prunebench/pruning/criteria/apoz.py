"""Criterion: how often a channel is active."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("filter",), needs=("batches", "activations"))
def apoz(view: View) -> Scores:
    """Share of positive activations; behind a ReLU 1 − APoZ (share of zeros, Hu 2016, eq. 1)."""
    return view.activation_means(lambda activation: (activation > 0).float())
