"""Criteria: norms of filters."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("filter", "row"))
def l1_norm(view: View) -> Scores:
    """‖W_i‖₁ of each filter, or row of an embedding (Li 2017)."""
    return {name: weight.flatten(1).norm(1, dim=1) for name, weight in view.weights.items()}


@criterion(patterns=("filter", "row"))
def l2_norm(view: View) -> Scores:
    """‖W_i‖₂ of each filter, or row of an embedding (Li 2017, He 2018)."""
    return {name: weight.flatten(1).norm(2, dim=1) for name, weight in view.weights.items()}
