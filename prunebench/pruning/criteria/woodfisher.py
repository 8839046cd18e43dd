"""Criterion and compensation of second order, within blocks of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.criteria._functional import MEMORY, sample_count, sample_gradients, zeros
from prunebench.pruning.view import Compensated, View

_INVERTED = 1 << 24  # numbers of blocks to factorize at a time, in double precision
_CHUNK = 32  # samples whose gradients are held at a time, at most


@dataclass(frozen=True)
class _Span:
    """Consecutive blocks of a weight's flattened entries."""

    name: str
    first: int
    last: int


@criterion(
    patterns=("weight", "n-m"),
    needs=("batches", "gradients"),
    compensates=True,
    ranges={"block": "[1, inf)", "damping": "(0, inf)"},
)
def woodfisher(
    view: View, *, block: int = 50, damping: float = 1e-5, joint: bool = True
) -> Compensated:
    """w²/(2·[F⁻¹]_ii), F the block-diagonal empirical Fisher (Hassibi 1993, Singh 2020).

    F is the mean of g·gᵀ over single calibration samples, plus ``damping`` on its diagonal, in
    blocks of consecutive entries of each flattened weight. A block is inverted directly, which
    equals the paper's recursion by the Woodbury identity.

    ``update`` looks at the view's network: call it before the network changes. It holds ``block``
    numbers for each weight and the gradients of up to 32 samples, 1 GiB of either at a time; the
    backward passes are repeated for the rest. A layer's dense Fisher is never held.

    Args:
        block: entries in a block.
        damping: added to the diagonal of F; above 0.
        joint: whether the weights that stay minimize ½·δᵀFδ while all removed ones of the block go
            at once. Otherwise, as in the paper and its code, they change by the sum of what each
            removal alone asks for.

    Raises:
        Refused: F cannot be inverted.
    """
    turns = _turns(view, block)
    diagonals = zeros(view)
    held: dict[_Span, Tensor] = {}

    def fishers(turn: list[_Span]) -> Iterator[tuple[_Span, Tensor]]:
        return iter(held.items() if held else _fishers(view, turn, block, damping).items())

    for turn in turns:
        found = _fishers(view, turn, block, damping)
        for span, fisher in found.items():
            _put(diagonals[span.name], span, block, _by_parts(_inverse_diagonal, fisher))
        if len(turns) == 1:
            held.update(found)
    weights = {name: weight.to(diagonals[name]) for name, weight in view.weights.items()}
    scores = {name: weight**2 / (2 * diagonals[name]) for name, weight in weights.items()}

    def update(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        updated = {name: zero.copy_(weights[name]) for name, zero in zeros(view).items()}
        solve = _joint if joint else _independent
        for turn in turns:
            for span, fisher in fishers(turn):
                old = _take(weights[span.name], span, block)
                keep = _take(masks[span.name].to(old), span, block)
                _put(updated[span.name], span, block, _by_parts(solve, fisher, old, keep))
        return updated

    return Compensated(scores, update)


def _turns(view: View, block: int) -> list[list[_Span]]:
    """Return the blocks in groups whose Fishers fit into memory together."""
    size = 4 * block * (block + _CHUNK)
    room = most = max(1, MEMORY // size)
    turns: list[list[_Span]] = [[]]
    for name, weight in view.weights.items():
        first, count = 0, -(-weight.numel() // block)
        while first < count:
            if not room:
                turns.append([])
                room = most
            last = min(count, first + room)
            turns[-1].append(_Span(name, first, last))
            room -= last - first
            first = last
    return turns


def _take(values: Tensor, span: _Span, block: int) -> Tensor:
    """Return the span's entries as [blocks, block], padded with zeros at the weight's end."""
    cut = values.flatten()[span.first * block : span.last * block]
    return functional.pad(cut, (0, (span.last - span.first) * block - len(cut))).view(-1, block)


def _put(values: Tensor, span: _Span, block: int, found: Tensor) -> None:
    flat = values.view(-1)[span.first * block : span.last * block]
    flat.copy_(found.flatten()[: len(flat)])


def _fishers(view: View, spans: list[_Span], block: int, damping: float) -> dict[_Span, Tensor]:
    """Return the damped Fisher of each span: [blocks, block, block]."""
    names = sorted({span.name for span in spans})
    like = zeros(view)
    chunk = max(1, min(_CHUNK, MEMORY // (4 * sum(like[name].numel() for name in names))))
    found = {s: like[s.name].new_zeros(s.last - s.first, block, block) for s in spans}
    count = sample_count(view)
    for gradients in sample_gradients(view, names, chunk):
        for span, fisher in found.items():
            rows = gradients[span.name].flatten(1)[:, span.first * block : span.last * block]
            rows = functional.pad(rows, (0, len(fisher) * block - rows.shape[1]))
            rows = rows.unflatten(1, (-1, block)).transpose(0, 1)  # [blocks, samples, block]
            torch.baddbmm(fisher, rows.mT, rows, alpha=1 / count, out=fisher)
    for fisher in found.values():
        fisher.diagonal(dim1=1, dim2=2).add_(damping)
    return found


def _by_parts(solve: Callable[..., Tensor], *stacks: Tensor) -> Tensor:
    """Apply ``solve`` to blocks in double precision, some at a time."""
    step = max(1, _INVERTED // stacks[0][0].numel())
    parts = zip(*(stack.split(step) for stack in stacks), strict=True)
    found = [solve(*(part.double() for part in group)).to(stacks[0].dtype) for group in parts]
    return torch.cat(found)


def _cholesky(fisher: Tensor) -> Tensor:
    lower, failed = torch.linalg.cholesky_ex(fisher)
    if failed.any():
        raise Refused("the Fisher cannot be inverted: the gradients are not finite, or too large"
                      " for the damping")  # fmt: skip
    return lower


def _inverse_diagonal(fisher: Tensor) -> Tensor:
    """Return [F⁻¹]_ii as [blocks, block]."""
    unit = torch.eye(fisher.shape[-1], dtype=fisher.dtype, device=fisher.device)
    inverse = torch.linalg.solve_triangular(_cholesky(fisher), unit, upper=False)
    return inverse.square().sum(1)


def _joint(fisher: Tensor, weights: Tensor, keep: Tensor) -> Tensor:
    """Return w + δ on the kept K, where F_KK δ_K = F_KQ w_Q for the removed Q (Kurtic 2022)."""
    pull = torch.einsum("bij,bj->bi", fisher, weights * (1 - keep)) * keep
    inside = fisher * keep[:, :, None] * keep[:, None, :]
    inside.diagonal(dim1=1, dim2=2).add_(1 - keep)
    change = torch.cholesky_solve(pull[..., None], _cholesky(inside))[..., 0]
    return (weights + change) * keep


def _independent(fisher: Tensor, weights: Tensor, keep: Tensor) -> Tensor:
    """Return w − Σ_q w_q F⁻¹e_q / [F⁻¹]_qq over the removed q (Singh 2020)."""
    pull = weights * (1 - keep) / _inverse_diagonal(fisher)
    change = torch.cholesky_solve(pull[..., None], _cholesky(fisher))[..., 0]
    return (weights - change) * keep
