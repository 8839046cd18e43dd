"""Layer by layer: weights that the others can best replace, and the others replacing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from prunebench.components import criterion
from prunebench.errors import Refused
from prunebench.pruning.criteria._inputs import input_sums, matrix
from prunebench.pruning.criteria._network import MEMORY, sample_count
from prunebench.pruning.view import Compensated, View

_SWEEP = 128  # columns after which the rest of a row is updated


@criterion(patterns=("weight", "n-m"), needs=("batches", "activations"), compensates=True)
def sparsegpt(view: View, *, damping: float = 0.01) -> Compensated:
    """w²/U_jj², H = 2XXᵀ + λI of each layer's inputs, with compensation (Frantar 2023, alg. 1).

    U is the upper Cholesky factor of H⁻¹ (UᵀU), so that w²/U_jj² is the OBS loss of a weight when
    the inputs after it may still compensate; λ is ``damping`` times the mean of H's diagonal.
    Given the masks, the compensation sweeps the inputs in order, and each removed weight's error
    goes to those after it. Convolutions are linear layers on their unfolded inputs (as in Optimal
    Brain Compression, Frantar 2022), each group its own.

    Other than in the paper, a layer's scores are all of the dense weights, and its inputs those of
    the dense network: masks are chosen by pattern and allocation, so one scoring serves every
    sparsity. Losses of different layers do not compare: use ``uniform``, ``per-row`` or N:M.
    ``update`` looks at the view's network: call it before that changes. Holds d² numbers for a
    layer of d inputs; 1 GiB of layers at a time, or a layer where that alone is more, and while one
    is inverted three times as much in double precision.

    Raises Refused for embeddings, and where H cannot be inverted.
    """
    if damping <= 0:
        raise Refused(f"damping must be positive, found {damping}")
    turns = _turns(view)
    scores, held = {}, {}
    for names in turns:
        for name, factor in _factors(view, names, damping):
            weights = matrix(view.layers[name]).to(factor.dtype)
            score = (weights / factor.diagonal(dim1=1, dim2=2)[:, None]) ** 2
            scores[name] = score.view(view.layers[name].weight.shape)
            if len(turns) == 1:
                held[name] = factor

    def update(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for names in turns:
            for name, factor in held.items() if held else _factors(view, names, damping):
                weights = matrix(view.layers[name]).to(factor.dtype, copy=True)
                keep = masks[name].to(weights.device).view(weights.shape)
                found[name] = _sweep(weights, keep, factor).view(masks[name].shape)
        return found

    return Compensated(scores, update)


def _turns(view: View) -> list[list[str]]:
    """Layers whose Hessians are held together."""
    turns: list[list[str]] = [[]]
    free = MEMORY
    for name, layer in view.layers.items():
        groups, _, inputs = matrix(layer).shape
        size = 4 * groups * inputs**2
        if turns[-1] and size > free:
            turns.append([])
            free = MEMORY
        turns[-1].append(name)
        free -= size
    return turns


def _factors(view: View, names: list[str], damping: float) -> Iterator[tuple[str, Tensor]]:
    """U of each layer: [groups, d, d], upper, UᵀU the inverse of its damped H."""
    scale = 2 / sample_count(view)
    moments = input_sums(view, names, lambda rows: rows.mT @ rows)
    for name in names:
        moment = moments.pop(name)
        factor = inverse_factor(scale * moment.double(), damping, name)
        yield name, factor.to(moment.dtype)


def inverse_factor(hessian: Tensor, damping: float, name: str) -> Tensor:
    """U upper with UᵀU = (H + λI)⁻¹, for H [groups, d, d]; λ is relative to the mean diagonal.

    With both orders reversed, the Cholesky factor of H is V upper with VVᵀ = H, and U = V⁻¹: H need
    not be inverted itself. Raises Refused where H is not positive definite.
    """
    mean = hessian.diagonal(dim1=1, dim2=2).mean(1)
    mean = torch.where(mean > 0, mean, 1.0)  # a layer whose inputs are all zero
    hessian.diagonal(dim1=1, dim2=2).add_(damping * mean[:, None])
    lower, failed = torch.linalg.cholesky_ex(hessian.flip(1, 2))
    if failed.any():
        raise Refused(f"the Hessian of {name!r} cannot be inverted: its inputs are not finite, or"
                      f" the damping of {damping} is too small")  # fmt: skip
    unit = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return torch.linalg.solve_triangular(lower.flip(1, 2), unit.expand_as(lower), upper=True)


def _sweep(weights: Tensor, keep: Tensor, factor: Tensor) -> Tensor:
    """Remove what is not kept from ``weights`` [groups, rows, d], in place, input after input.

    Each removed weight w_j changes those after it by −w_j/U_jj · U_j.
    """
    inputs = weights.shape[-1]
    for first in range(0, inputs, _SWEEP):
        last = min(first + _SWEEP, inputs)
        # input by input, so that each step reads and writes consecutive numbers
        columns = weights[..., first:last].mT.contiguous()  # [groups, up to _SWEEP, rows]
        gone = ~keep[..., first:last].mT
        errors = torch.empty_like(columns)
        for j in range(last - first):
            across = factor[:, first + j, first + j : last, None]
            errors[:, j] = columns[:, j] * gone[:, j] / across[:, 0]
            columns[:, j:] -= across * errors[:, j, None]
        weights[..., first:last] = columns.mT
        weights[..., last:] -= errors.mT @ factor[:, first:last, last:]
    return weights.mul_(keep)
