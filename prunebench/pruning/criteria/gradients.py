"""Criteria of the first-order change of the loss."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


@criterion(
    patterns=("weight", "n-m"),
    needs=("batches", "gradients"),
    ranges={"batch_norm": ("train", "eval")},
)
def taylor(view: View, *, batch_norm: str = "eval") -> Scores:
    """|w·g|, g the mean gradient over the calibration samples (Molchanov 2017).

    Args:
        batch_norm: ``eval`` takes the gradient at the running statistics, which the trained network
            uses; ``train`` at those of each calibration batch. The paper's networks have none.
    """
    gradients = view.mean_gradients(batch_norm)
    return {name: (weight * gradients[name]).abs() for name, weight in view.weights.items()}


@criterion(
    patterns=("weight", "n-m"),
    needs=("batches", "gradients"),
    ranges={"batch_norm": ("train", "eval")},
)
def snip(view: View, *, batch_norm: str = "eval") -> Scores:
    """Connection sensitivity |w·g|, meant for the weights at initialization (Lee 2019, eq. 6).

    Args:
        batch_norm: ``eval`` is the authors' mode: their code scores with ``is_train: False``
            (namhoonlee/snip-public, ``snip/prune.py``). A batch norm that has seen no data (mean 0,
            variance 1) then passes its input on, and the scores do not depend on how samples are
            batched. ``train`` normalizes by each batch, as most of the later code does.
    """
    return taylor(view, batch_norm=batch_norm)
