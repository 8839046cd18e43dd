"""Criterion: the magnitude of single weights."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("weight", "n-m", "row", "column"))
def magnitude(view: View) -> Scores:
    """|w| (Han 2015)."""
    return {name: weight.abs() for name, weight in view.weights.items()}
