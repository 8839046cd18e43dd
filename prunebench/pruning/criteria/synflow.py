"""Criterion without data: the synaptic flow through a weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.criteria._functional import derivable, gradient
from prunebench.pruning.held_networks import copied
from prunebench.pruning.view import Scores, View
from prunebench.training.loop import logits_of


@criterion(patterns=("weight",), needs=("batches", "gradients"))
def synflow(view: View) -> Scores:
    """|w·∂R/∂w|, R the sum of outputs for all-ones inputs through |w| (Tanaka 2020, algorithm 1).

    As in the authors' experiments, every parameter (biases, batch norm) and every floating-point
    buffer (running statistics) takes its absolute value, in eval mode, so that at initialization
    batch norm is the identity. Only the *shape* of the calibration inputs is used. R is a product
    over all layers and is computed in float64; scores are divided by their maximum, which changes
    no ranking and keeps them within float32. Meant for ``at-initialization`` with ``rounds: 100``:
    in one round it removes whole layers. With layer norms R is no longer a product of weights; the
    definition is then applied as it stands.

    Raises:
        Refused: the input is not floating-point (embeddings), or R is zero or not finite.
    """
    inputs = view.batches[0][0]
    if not inputs.is_floating_point():
        raise Refused("SynFlow's input is all ones, which means nothing to a network of tokens")
    ones = torch.ones(1, *inputs.shape[1:], dtype=torch.float64, device=inputs.device)
    net, weights = _magnitudes(view)
    with derivable(net):
        flow = logits_of(net(ones)).sum()
        if not flow.isfinite() or not flow:
            raise Refused(f"SynFlow: the sum of the outputs of |w| is {flow.item()}")
        gradients = gradient(flow, weights)
    scores = {name: gradients[name].mul_(weights[name].detach()).abs_() for name in gradients}
    largest = torch.stack([score.max() for score in scores.values()]).max()
    if not largest.isfinite() or not largest:
        raise Refused(f"SynFlow: no flow reaches the weights (the largest score is {largest})")
    return {name: score.div_(largest) for name, score in scores.items()}


def _magnitudes(view: View) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return the network of |w| in float64, in eval mode, and its prunable weights by name.

    It is made once for all rounds, of which each sets more weights to zero.
    """
    if "magnitudes" not in view.lasting:
        net = copied(view.model).double().eval().requires_grad_(False)
        for value in [*net.parameters(), *net.buffers()]:
            if value.is_floating_point():
                value.abs_()
        named = dict(net.named_parameters())
        weights = {name: named[name].requires_grad_(True) for name in view.layers}
        view.lasting["magnitudes"] = net, weights
    net, weights = view.lasting["magnitudes"]
    for name, weight in weights.items():
        weight.detach().copy_(view.layers[name].weight.detach().abs())
    return net, weights
