"""Criterion: the second-order change of the loss when one weight goes."""

from __future__ import annotations

import torch
from torch import Tensor

from prunebench.experiment.registry import criterion
from prunebench.pruning.criteria._functional import (
    hessian_product,
    network,
    sample_count,
    sample_gradients,
    zeros,
)
from prunebench.pruning.view import Scores, View


@criterion(
    patterns=("weight", "n-m"),
    needs=("batches", "gradients"),
    ranges={"hessian": ("fisher", "hutchinson"), "draws": "[1, inf)"},
)
def obd(view: View, *, hessian: str = "fisher", draws: int = 8) -> Scores:
    """½·h_ii·w² (optimal brain damage, LeCun 1990).

    Args:
        hessian: ``fisher`` takes the diagonal of the empirical Fisher, the mean over calibration
            samples of their squared gradients. ``hutchinson`` estimates the Hessian's own diagonal,
            which may be negative, as the mean of v·(Hv) over vectors v of random signs.
        draws: how many such vectors.
    """
    diagonal = _fisher_diagonal(view) if hessian == "fisher" else _hutchinson(view, draws)
    return {
        name: 0.5 * diagonal[name] * w.to(diagonal[name]) ** 2 for name, w in view.weights.items()
    }


def _fisher_diagonal(view: View) -> dict[str, Tensor]:
    sums = zeros(view)
    for gradients in sample_gradients(view, list(view.layers), chunk=1):
        for name, value in gradients.items():
            sums[name].addcmul_(value[0], value[0])
    return {name: value / sample_count(view) for name, value in sums.items()}


def _hutchinson(view: View, draws: int) -> dict[str, Tensor]:
    sums = zeros(view)
    with network(view) as net:
        for draw in range(draws):
            signs = {
                name: _signs(view, f"{draw} {name}", weight) for name, weight in net.weights.items()
            }
            for name, value in hessian_product(view, net, signs).items():
                sums[name] += signs[name] * value
    return {name: value / draws for name, value in sums.items()}


def _signs(view: View, purpose: str, like: Tensor) -> Tensor:
    drawn = torch.randint(0, 2, like.shape, generator=view.generator("hutchinson", purpose))
    return (drawn * 2 - 1).to(like)
