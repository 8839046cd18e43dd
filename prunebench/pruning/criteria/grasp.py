"""Criterion: whether removing a weight keeps the gradient flowing."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.criteria._functional import hessian_product, mean_gradient, network
from prunebench.pruning.view import Scores, View


@criterion(patterns=("weight",), needs=("batches", "gradients"), ranges={"temperature": "(0, inf)"})
def grasp(view: View, *, temperature: float = 200.0) -> Scores:
    """w·(Hg), meant for the weights at initialization (Wang 2020, eq. 8 and algorithm 1).

    The paper scores −w·(Hg), to first order (half) the change of ‖g‖² when w goes, and removes the
    *largest*: weights that hold the gradient back. The score here is the negative of that, since a
    higher score is kept. g and H are those of the mean loss over all calibration samples, in eval
    mode as for every criterion here (and in the experiments of Tanaka 2020).

    Args:
        temperature: divides the logits; above 0.
    """
    with network(view) as net:
        mean = mean_gradient(view, net, temperature)
        flow = hessian_product(view, net, mean, temperature)
    return {name: net.weights[name].detach() * flow[name] for name in net.weights}
