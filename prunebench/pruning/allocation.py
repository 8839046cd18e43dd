"""How the sparsity is spread: which units stay, given scores and how many must go.

An allocation gets scores (name -> tensor; higher is kept, -inf is gone already), the number of
units to remove, the least number to keep of each tensor, and the view's generators. It returns
name -> bool (True is kept) with exactly that many units removed. Ties are broken by independent
draws, the same at every sparsity: by position they would take whole layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from prunebench.components import allocation
from prunebench.errors import Refused
from prunebench.pruning.view import Scores

Draw = Callable[[str], torch.Generator]  # purpose -> a generator of its own
Keep = dict[str, Tensor]


def remove_lowest(scores: Tensor, remove: int, generator: torch.Generator) -> Tensor:
    """Bool of the shape of ``scores`` with exactly ``remove`` False, at the lowest scores."""
    flat = scores.detach().flatten()
    keep = torch.ones(flat.numel(), dtype=torch.bool, device=flat.device)
    if remove > 0:
        threshold = flat.kthvalue(remove).values
        keep[flat < threshold] = False
        tied = (flat == threshold).nonzero().squeeze(1)
        missing = remove - int((~keep).sum())
        # the draw covers every position, so that a larger sparsity ranks its ties alike
        order = torch.rand(flat.numel(), generator=generator).to(flat.device)[tied].argsort()
        keep[tied[order[:missing]]] = False
    return keep.view(scores.shape)


def _check(scores: Scores, remove: int, least: int) -> None:
    room = sum(max(value.numel() - least, 0) for value in scores.values())
    if remove > room:
        raise Refused(f"{remove} units are to go, but only {room} may")


def _protect(scores: Scores, least: int) -> Scores:
    """Raise the best ``least`` units of every tensor out of reach."""
    if not least:
        return scores
    protected = {}
    for name, value in scores.items():
        best = value.flatten().topk(min(least, value.numel())).indices
        protected[name] = value.flatten().index_fill(0, best, torch.inf).view(value.shape)
    return protected


@allocation()
def global_(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """One ranking over all layers."""
    _check(scores, remove, least)
    gone = sum(int(value.isneginf().sum()) for value in scores.values())
    if remove < gone:
        raise Refused(f"{remove} units are to go, but {gone} are gone already")
    scores = _protect(scores, least)
    flat = torch.cat([value.flatten() for value in scores.values()])
    keep = remove_lowest(flat, remove, draw("ties")).split([v.numel() for v in scores.values()])
    return {
        name: part.view(value.shape)
        for (name, value), part in zip(scores.items(), keep, strict=True)
    }


def quotas(exact: dict[str, float], least: dict[str, int], most: dict[str, int]) -> dict[str, int]:
    """Whole numbers near ``exact`` with the same sum, each between its least and its most.

    Largest remainders first. Raises Refused where the bounds leave no such numbers.
    """
    wanted = round(sum(exact.values()))
    if not sum(least.values()) <= wanted <= sum(most.values()):
        raise Refused(f"{wanted} units are to go, but {sum(least.values())} are gone already")
    quota = {name: min(max(int(exact[name]), least[name]), most[name]) for name in exact}
    while difference := wanted - sum(quota.values()):
        step, bound = (1, most) if difference > 0 else (-1, least)
        open_names = [name for name in exact if quota[name] != bound[name]]
        open_names.sort(key=lambda name: step * (exact[name] - quota[name]), reverse=True)
        for name in open_names[: abs(difference)]:
            quota[name] += step
    return quota


@allocation()
def uniform(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """The same share of every layer; remainders to the largest fractions, so that the sum holds."""
    _check(scores, remove, least)
    total = sum(value.numel() for value in scores.values())
    quota = quotas(
        {name: remove * value.numel() / total for name, value in scores.items()},
        least={name: int(value.isneginf().sum()) for name, value in scores.items()},
        most={name: max(value.numel() - least, 0) for name, value in scores.items()},
    )
    protected = _protect(scores, least)
    return {
        name: remove_lowest(value, quota[name], draw(f"ties {name}"))
        for name, value in protected.items()
    }
