"""Criterion and compensation layer by layer: the other weights replace the ones that go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.allocation import quotas
from prunebench.pruning.criteria._functional import MEMORY, sample_count
from prunebench.pruning.criteria._layer_inputs import change_in_order, input_sums, matrix
from prunebench.pruning.held_networks import compact
from prunebench.pruning.layers import Layer
from prunebench.pruning.masks import Masks
from prunebench.pruning.view import Choice, Compensated, Swept, View

_BLOCK = 128  # columns of a layer that are chosen from at a time, as in the paper
# (number of the block, scores [groups, rows, columns]) -> what stays of them
_Pick = Callable[[int, Tensor], Tensor]


@criterion(
    patterns=("weight", "n-m"),
    needs=("batches", "activations"),
    compensates=True,
    sweeps=True,
    ranges={"damping": "(0, inf)"},
)
def sparsegpt(view: View, *, damping: float = 0.01) -> Compensated:
    """w²/U_jj², H = 2XXᵀ + λI of each layer's inputs, with compensation (Frantar 2023, alg. 1).

    U is the upper Cholesky factor of H⁻¹ (UᵀU), so that w²/U_jj² is the OBS loss of a weight when
    the inputs after it may still compensate; λ is ``damping`` times the mean of H's diagonal.

    Layers go in the order in which they run, each on the inputs that the layers before it give once
    they are pruned and compensated. Within a layer the inputs are swept in order. The error of each
    removed weight goes to the inputs after it, and weights are chosen on the way, from about 128
    columns at a time (or the inputs of an N:M group), by their scores after all earlier columns
    were compensated. Every 128 columns lose the same share. Convolutions are linear layers on their
    unfolded inputs (as in Optimal Brain Compression, Frantar 2022), each group on its own.

    How many weights a layer loses is known in advance with ``uniform``, ``per-row``, ``erk``,
    ``explicit`` and N:M; the dense network is not scored then, and w² stands for its scores. A
    ranking over layers (``global``, ``lamp``) takes it from the scores of the dense network. The
    paper has no such ranking, and losses of different layers' outputs do not compare.

    ``update`` looks at the view's network: call it before the network changes. Each sparsity costs
    a copy of the network and one forward pass of all batches together, whose activations are in
    memory at once; or one for each layer, where a batch comes to a layer more than once, or not in
    the order of the others. A layer of d inputs takes d² numbers, three times as many in double
    precision while it is inverted; 1 GiB of layers is scored at a time, or a single layer where
    that alone takes more.

    Args:
        damping: λ relative to the mean of H's diagonal; above 0.

    Raises:
        Refused: there are embeddings, or H cannot be inverted.
    """
    if view.counts_known:
        scores = {name: layer.weight.detach() ** 2 for name, layer in view.layers.items()}
    else:
        scores = _dense_scores(view, damping)
    last: tuple[Masks, dict[str, Tensor]] | None = None  # ``settle`` computes the weights as well

    def settle(left: View, masks: Masks, choice: Choice) -> Masks:
        nonlocal last
        last = _in_order(left, masks, damping, choice)
        return last[0]

    def update(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if last and all(torch.equal(mask, masks[name]) for name, mask in last[0].items()):
            return last[1]
        return _in_order(view, masks, damping)[1]

    return Compensated(Swept(scores, settle), update)


def _dense_scores(view: View, damping: float) -> dict[str, Tensor]:
    """Return w²/U_jj² of every weight, all layers on the inputs that the dense ones give."""
    scores = {}
    for names in _turns(view):
        for name, factor in _factors(view, names, damping):
            weights = matrix(view.layers[name]).to(factor.dtype)
            score = (weights / factor.diagonal(dim1=1, dim2=2)[:, None]) ** 2
            scores[name] = score.view(view.layers[name].weight.shape)
    return scores


def _turns(view: View) -> list[list[str]]:
    """Return the layers in groups whose Hessians fit into memory together."""
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
    """Yield U of each layer: [groups, d, d], upper, UᵀU the inverse of its damped H."""
    moments = input_sums(view, names, _moment)
    for name in names:
        yield name, _factor(view, name, moments.pop(name), damping)


def _moment(rows: Tensor) -> Tensor:
    return rows.mT @ rows


def _factor(view: View, name: str, moment: Tensor, damping: float) -> Tensor:
    hessian = 2 / sample_count(view) * moment.double()
    return inverse_factor(hessian, damping, name).to(moment.dtype)


def inverse_factor(hessian: Tensor, damping: float, name: str) -> Tensor:
    """Return the upper U with UᵀU = (H + λI)⁻¹.

    With both orders reversed, the Cholesky factor of H is an upper V with VVᵀ = H, and U = V⁻¹: H
    itself need not be inverted.

    Args:
        hessian: H [groups, d, d]; changed in place.
        damping: λ relative to the mean of H's diagonal.
        name: of the layer, for messages.

    Raises:
        Refused: H + λI is not positive definite.
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


def _in_order(
    view: View, masks: Mapping[str, Tensor], damping: float, choice: Choice | None = None
) -> tuple[Masks, dict[str, Tensor]]:
    """Return masks of all layers, and new weights of those that lose any.

    Each layer is pruned on the inputs that the pruned layers before it give. With a ``choice`` as
    many weights of each layer go as ``masks`` removes; without, just those that it removes.
    """
    copies: dict[int, Any] = {}
    pruned = copy(view)
    pruned.model = deepcopy(view.model, copies)
    compact(pruned.model)
    pruned.layers = {
        name: Layer(name, copies[id(layer.module)], layer.parameter)
        for name, layer in view.layers.items()
    }
    settled = {name: masks[name] for name in view.layers}
    found = {}

    def change(name: str, moment: Tensor) -> None:
        layer = pruned.layers[name]
        factor = _factor(view, name, moment, damping)
        weights = matrix(layer).to(factor.dtype, copy=True)
        kernel = layer.weight.shape[2:].numel()
        step = (choice.together if choice else 0) or max(1, _BLOCK // kernel)
        pick = _picker(view, name, masks[name], step, choice)
        keep = _sweep(weights, pick, factor, step * kernel)
        settled[name] = keep.view(layer.weight.shape).to(masks[name].device)
        found[name] = weights.view(layer.weight.shape)
        with torch.no_grad():
            layer.weight.copy_(found[name])

    losing = [name for name in view.layers if not masks[name].all()]
    change_in_order(pruned, losing, _moment, change)
    return settled, found


def _picker(view: View, name: str, mask: Tensor, step: int, choice: Choice | None) -> _Pick:
    """Return a choice among each ``step`` inputs: what the mask keeps, or as many in all."""
    parts = mask.split(step, dim=1)
    gone = ~view.within.get(name, torch.ones_like(mask))
    if choice is None or torch.equal(gone, ~mask):  # or nothing more goes than what is gone already
        return lambda number, scores: parts[number].to(scores.device).view(scores.shape)
    sizes = {str(number): part.numel() for number, part in enumerate(parts)}
    share = int((~mask).sum()) / mask.numel()
    counts = quotas(
        {key: share * size for key, size in sizes.items()},
        least={str(number): int(part.sum()) for number, part in enumerate(gone.split(step, dim=1))},
        most=sizes,
    )

    def pick(number: int, scores: Tensor) -> Tensor:
        shaped = scores.reshape(parts[number].shape)
        kept = choice(name, number * step, shaped, counts[str(number)])
        return kept.to(scores.device).view(scores.shape)

    return pick


def _sweep(weights: Tensor, pick: _Pick, factor: Tensor, step: int) -> Tensor:
    """Remove weights [groups, rows, d] in place, input after input; return what stays.

    Each removed weight w_j changes those after it by −w_j/U_jj · U_j. ``pick(number, scores)`` says
    what stays of the next ``step`` columns once those before are done.
    """
    inputs = weights.shape[-1]
    keep = torch.ones_like(weights, dtype=torch.bool)
    for number, first in enumerate(range(0, inputs, step)):
        last = min(first + step, inputs)
        # input by input, so that each step reads and writes consecutive numbers
        columns = weights[..., first:last].mT.contiguous()  # [groups, up to step, rows]
        scores = (columns / factor.diagonal(dim1=1, dim2=2)[:, first:last, None]) ** 2
        keep[..., first:last] = pick(number, scores.mT)
        gone = ~keep[..., first:last].mT
        errors = torch.empty_like(columns)
        for j in range(last - first):
            across = factor[:, first + j, first + j : last, None]
            errors[:, j] = columns[:, j] * gone[:, j] / across[:, 0]
            columns[:, j:] -= across * errors[:, j, None]
        weights[..., first:last] = columns.mT
        weights[..., last:] -= errors.mT @ factor[:, first:last, last:]
    weights.mul_(keep)
    return keep
