"""Criterion: whether removing a weight keeps the gradient flowing."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.criteria._functional import hessian_product, mean_gradient, network
from prunebench.pruning.view import Scores, View


@criterion(
    patterns=("weight",),
    needs=("batches", "gradients"),
    ranges={"temperature": "(0, inf)", "batch_norm": ("train", "eval")},
)
def grasp(view: View, *, temperature: float = 200.0, batch_norm: str = "train") -> Scores:
    """w·(Hg), meant for the weights at initialization (Wang 2020, eq. 8 and algorithm 1).

    The paper scores −w·(Hg), to first order (half) the change of ‖g‖² when w goes, and removes the
    *largest*: weights that hold the gradient back. The score here is the negative of that, since a
    higher score is kept. g and H are those of the mean loss over all calibration samples.

    Args:
        temperature: divides the logits; above 0.
        batch_norm: ``train`` normalizes by each calibration batch, as the authors' code does
            (alecwangcq/GraSP, ``pruner/GraSP.py``); ``eval`` by the running statistics, as in the
            experiments of Tanaka 2020.
    """
    with network(view, batch_norm=batch_norm) as net:
        mean = mean_gradient(view, net, temperature, batch_norm)
        flow = hessian_product(view, net, mean, temperature, batch_norm)
    return {name: net.weights[name].detach() * flow[name] for name in net.weights}
