"""Criterion: the control that every other must beat."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("weight", "n-m", "filter", "row", "column", "block"))
def random(view: View) -> Scores:
    """Independent uniform draws."""
    return {name: view.random(name, weight.shape) for name, weight in view.weights.items()}
