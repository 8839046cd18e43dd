"""Criteria of the first-order change of the loss."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("weight", "n-m"), needs=("batches", "gradients"))
def taylor(view: View) -> Scores:
    """|w·g|, g the mean gradient over the calibration samples (Molchanov 2017)."""
    gradients = view.gradients
    return {name: (weight * gradients[name]).abs() for name, weight in view.weights.items()}


@criterion(patterns=("weight", "n-m"), needs=("batches", "gradients"))
def snip(view: View) -> Scores:
    """Connection sensitivity |w·g|, meant for the weights at initialization (Lee 2019, eq. 6).

    The gradient is taken in eval mode. A batch norm that has seen no data (mean 0, variance 1) then
    passes its input on unchanged, and the scores do not depend on how samples are batched.
    """
    return taylor(view)
