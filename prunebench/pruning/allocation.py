"""Allocations: spread the sparsity over the layers.

An allocation is called with the scores (name -> tensor; a higher score is kept, -inf is gone
already), the number of units to remove, the least number to keep of each tensor, and the view's
generators. It returns name -> bool (True is kept) with exactly that many units removed in all, and
raises Refused where it cannot. Ties are broken by independent draws, the same at every sparsity;
broken by position, they would take whole layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatch

import torch
from torch import Tensor

from prunebench.errors import Refused
from prunebench.experiment.part_kinds import Allocation
from prunebench.experiment.registry import allocation, check_parameters, find, load
from prunebench.pruning.masks import only, tied
from prunebench.pruning.view import Scores

_MANY = 1 << 18  # scores of which a sample is worth its while
_STEP = 101  # every so manieth of them is in it; a prime, since kernels repeat
Draw = Callable[[str], torch.Generator]  # purpose -> a generator of its own
Keep = dict[str, Tensor]


def remove_lowest(scores: Tensor, remove: int, generator: torch.Generator) -> Tensor:
    """Return a mask that removes the lowest scores.

    Args:
        scores: of any shape.
        remove: how many to remove.
        generator: breaks ties.

    Returns:
        Bool of the shape of ``scores``, exactly ``remove`` of them False.
    """
    flat = scores.detach().flatten()
    if remove <= 0:
        return torch.ones(scores.shape, dtype=torch.bool, device=flat.device)
    threshold = _smallest(flat, remove)
    keep = flat > threshold
    missing = remove - flat.numel() + int(keep.count_nonzero())
    if missing:  # some at the threshold stay: they are drawn
        tied = (flat == threshold).nonzero().squeeze(1)
        missing += len(tied)
        keep[tied] = True
        # the draw covers every position, so that a larger sparsity ranks its ties alike
        drawn = torch.rand(flat.numel(), generator=generator).to(flat.device)[tied]
        last = drawn.kthvalue(missing).values  # there is always one, since not all of them stay
        keep[tied[drawn < last]] = False
        equal = tied[drawn == last]
        keep[equal[: remove - flat.numel() + int(keep.count_nonzero())]] = False
    return keep.view(scores.shape)


def _smallest(flat: Tensor, rank: int) -> Tensor:
    """Return the ``rank``-th smallest of many numbers, as ``kthvalue`` does.

    A sample says between which two it must lie; if so, only those in between are searched.
    """
    if flat.numel() < _MANY:
        return flat.kthvalue(rank).values
    sample = flat[::_STEP]
    place = rank / flat.numel() * len(sample)
    spread = 3 * len(sample) ** 0.5  # six standard deviations of the place at the most
    ordered = sample.sort().values
    low = ordered[max(0, int(place - spread))]
    high = ordered[min(len(ordered) - 1, int(place + spread))]
    above = flat > low
    below = flat.numel() - int(above.count_nonzero())
    between = flat[above.logical_and_(flat <= high)]
    if below < rank <= below + len(between):
        return between.kthvalue(rank - below).values
    return flat.kthvalue(rank).values


def drawn_units(scores: Scores, keep: Keep, compares: str) -> Keep:
    """Return which units were kept by a draw: those that score as high as one that was removed.

    Args:
        scores: what the allocation saw.
        keep: what it answered.
        compares: among which units it removed the lowest, as its trait says.

    Returns:
        Name -> bool of the shape of the scores.
    """
    if compares == "nothing" or not scores:
        return {}
    if compares == "network":
        removed = [only(value, ~keep[name]) for name, value in scores.items()]
        threshold = torch.stack([value.max() for value in removed]).max()
        if threshold.isneginf():
            return {}
        return {name: keep[name] & (value == threshold) for name, value in scores.items()}
    found = {}
    for name, value in scores.items():
        rows = len(value) if compares == "row" else 1
        flags = tied(value.reshape(rows, -1), keep[name].reshape(rows, -1))
        found[name] = flags.view(value.shape)
    return found


def gone_of(value: Tensor) -> int:
    """Return how many units of a tensor are gone already."""
    return int(value.isneginf().count_nonzero())


def most(value: Tensor, least: int) -> int:
    """Return how many units of a tensor may be gone: all but ``least``, as far as they are left."""
    if not least:
        return value.numel()
    alive = value.numel() - gone_of(value)
    return value.numel() - min(least, alive)


def check_room(scores: Scores, remove: int, least: int) -> None:
    """Raise Refused where more units are to go than may, all but ``least`` of each tensor."""
    room = sum(most(value, least) for value in scores.values())
    if remove > room:
        raise Refused(f"{remove} units are to go, but only {room} may")


def protect(scores: Scores, least: int) -> Scores:
    """Raise the best ``least`` units of every tensor above all others; what is gone stays gone."""
    if not least:
        return scores
    protected = {}
    for name, value in scores.items():
        top = value.flatten().topk(min(least, value.numel()))
        best = top.indices[~top.values.isneginf()]
        # a score may itself be infinite, and must not tie with what is protected
        flat = value.flatten().clamp(max=torch.finfo(value.dtype).max)
        protected[name] = flat.index_fill(0, best, torch.inf).view(value.shape)
    return protected


@allocation(nested=True)
def global_(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """One ranking over all layers.

    Raises:
        Refused: fewer units are to go than are gone already, or more than may go.
    """
    check_room(scores, remove, least)
    gone = sum(gone_of(value) for value in scores.values())
    if remove < gone:
        raise Refused(f"{remove} units are to go, but {gone} are gone already")
    scores = protect(scores, least)
    flat = torch.cat([value.flatten() for value in scores.values()])
    keep = remove_lowest(flat, remove, draw("ties")).split([v.numel() for v in scores.values()])
    return {
        name: part.view(value.shape)
        for (name, value), part in zip(scores.items(), keep, strict=True)
    }


def quotas(exact: dict[str, float], least: dict[str, int], most: dict[str, int]) -> dict[str, int]:
    """Round numbers to whole ones of the same sum, each within its bounds.

    The largest remainders are rounded up first.

    Args:
        exact: name -> the number wanted.
        least: name -> the lower bound.
        most: name -> the upper bound.

    Raises:
        Refused: the bounds leave no such numbers.
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


@allocation(
    patterns=("weight", "filter", "row", "column", "block"), compares="layer", counts_alone=True
)
def uniform(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """The same share of every layer; largest remainders are rounded up, so that the sum holds."""
    check_room(scores, remove, least)
    total = sum(value.numel() for value in scores.values())
    exact = {name: remove * value.numel() / total for name, value in scores.items()}
    return lowest_of_each(scores, counts_near(scores, exact, least), least, draw)


def counts_near(scores: Scores, exact: dict[str, float], least: int) -> dict[str, int]:
    """Return how many units go of each tensor: near ``exact``, at least what is gone already."""
    return quotas(
        exact,
        least={name: gone_of(scores[name]) for name in exact},
        most={name: most(scores[name], least) for name in exact},
    )


def lowest_of_each(scores: Scores, counts: dict[str, int], least: int, draw: Draw) -> Keep:
    """Remove of each tensor as many of its lowest scores as ``counts`` says, gone ones included."""
    protected = protect(scores, least)
    return {
        name: remove_lowest(value, counts[name], draw(f"ties {name}"))
        for name, value in protected.items()
    }


def erk_kept(shapes: Mapping[str, torch.Size], keep: float) -> dict[str, float]:
    """Return how many weights each tensor keeps at densities proportional to Σ dims / Π dims.

    Tensors whose density would exceed 1 keep everything, and the rest is solved again.

    Args:
        shapes: name -> shape of a weight.
        keep: how many weights to keep in all.

    Returns:
        Name -> number of weights kept, not rounded.
    """
    sizes = {name: float(shape.numel()) for name, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        free = {name: float(sum(shape)) for name, shape in shapes.items() if name not in dense}
        left = keep - sum(sizes[name] for name in dense)
        factor = left / sum(free.values()) if free else 0.0
        over = {name for name in free if factor * free[name] > sizes[name]}
        if not over:
            kept = {name: factor * value for name, value in free.items()}
            return {name: kept.get(name, sizes[name]) for name in shapes}
        dense |= over


@allocation(patterns=("weight",), compares="layer", counts_alone=True)
def erk(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """Erdős–Rényi-kernel: densities ∝ Σ dims / Π dims of each weight (Mocanu 2018, Evci 2020).

    Kernel sizes count among the dims. Layers whose density would exceed 1 stay dense, and the rest
    is solved again, so that the total holds. Scores choose within each layer.
    """
    check_room(scores, remove, least)
    total = sum(value.numel() for value in scores.values())
    kept = erk_kept({name: value.shape for name, value in scores.items()}, total - remove)
    exact = {name: value.numel() - kept[name] for name, value in scores.items()}
    return lowest_of_each(scores, counts_near(scores, exact, least), least, draw)


@allocation(patterns=("weight",), nested=True, compares="layer")
def lamp(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """One ranking of w_u² / Σ_{v≥u} w_v², sorted within the layer (Lee 2021).

    With the criterion ``magnitude`` this is the paper's LAMP; any other score takes the place of
    |w|. The best unit of every layer scores 1, so no layer goes before all others are down to one
    unit.

    Raises:
        Refused: a score is negative or infinite, so that its square means nothing.
    """
    found = {name: _lamp(name, value, draw(f"lamp {name}")) for name, value in scores.items()}
    return global_(found, remove, least, draw)


def _lamp(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    flat = value.detach().flatten().double()
    gone = flat.isneginf()
    flat = flat.masked_fill(gone, 0.0)
    if (flat < 0).any() or flat.isinf().any():
        raise Refused(
            f"lamp squares the scores: those of {name!r} must be finite, and not negative"
        )
    # equal scores are ordered by draws, not by position
    order = torch.rand(len(flat), generator=generator).to(flat.device).argsort()
    order = order[flat[order].argsort(stable=True)]
    squares = (flat[order] / flat.max().clamp(min=torch.finfo(flat.dtype).tiny)) ** 2
    left = squares.flip(0).cumsum(0).flip(0)
    ranked = torch.where(left > 0, squares / left, 0.0)
    found = torch.empty_like(flat).index_copy_(0, order, ranked)
    return found.masked_fill(gone, -torch.inf).view(value.shape)


@allocation(patterns=("weight",), compares="row", counts_alone=True)
def per_row(scores: Scores, remove: int, least: int, draw: Draw) -> Keep:
    """The same share of every output row of every layer (Sun 2024, section 3).

    Where a layer's number does not divide by its rows, the rows that lose one weight more are
    drawn.
    """
    check_room(scores, remove, least)
    total = sum(value.numel() for value in scores.values())
    exact = {name: remove * value.numel() / total for name, value in scores.items()}
    counts = counts_near(scores, exact, least)
    keep = {}
    for name, value in protect(scores, least).items():
        rows = value.flatten(1)
        gone = scores[name].flatten(1).isneginf().sum(1)
        generator = draw(f"rows {name}")
        quota = _row_quotas(gone, rows.isposinf().logical_not().sum(1), counts[name], generator)
        order = torch.rand(rows.shape, generator=generator).to(rows.device).argsort(1)
        order = order.gather(1, rows.gather(1, order).argsort(dim=1, stable=True))
        rank = order.argsort(1)
        keep[name] = (rank >= quota[:, None]).view(value.shape)
    return keep


def _row_quotas(least: Tensor, most: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Spread ``count`` over the rows as evenly as their bounds allow; remainders are drawn."""
    low, high = 0, int(most.max())
    while low < high:  # the highest level at which the rows take no more than count
        level = (low + high + 1) // 2
        if int(torch.clamp(most.clamp(max=level), min=least).sum()) <= count:
            low = level
        else:
            high = level - 1
    quota = torch.maximum(most.clamp(max=low), least)
    order = torch.rand(len(quota), generator=generator).to(quota.device).argsort()
    open_rows = order[((quota < most) & (quota == low))[order]]
    quota[open_rows[: count - int(quota.sum())]] += 1
    return quota


@allocation(
    patterns=("weight", "filter", "block"), alone="global", compares="layer", counts_alone=True
)
def explicit(
    scores: Scores, remove: int, least: int, draw: Draw, *, shares: dict[str, float] | None = None
) -> Keep:
    """Given sparsities for layers by patterns of their names; the other layers fill up the total.

    The other layers are pruned alike.

    Args:
        shares: pattern of names -> sparsity in [0, 1], such as
            ``{"layer1.*": 0.5, "*.conv2.weight": 0.8}``. The first pattern that matches counts.

    Raises:
        Refused: the total cannot be met, a pattern matches no layer, or a share is not in [0, 1].
    """
    chosen: dict[str, float] = {}
    for pattern, share in (shares or {}).items():
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise Refused(f"the share of {pattern!r} must lie in [0, 1], found {share!r}")
        fitting = [name for name in scores if fnmatch(name, pattern)]
        if not fitting:
            raise Refused(f"no layer fits {pattern!r}; there are {', '.join(scores)}")
        chosen |= {name: share for name in fitting if name not in chosen}
    check_room(scores, remove, least)
    fixed = {name: float(round(share * scores[name].numel())) for name, share in chosen.items()}
    rest = [name for name in scores if name not in chosen]
    left, room = remove - sum(fixed.values()), sum(scores[name].numel() for name in rest)
    if not 0 <= left <= room:
        raise Refused(
            f"the shares remove {sum(fixed.values()):.0f} units, of {remove} that are to go; the"
            f" {len(rest)} other layers have {room}"
        )
    counts = counts_near(scores, fixed, least) if fixed else {}
    if rest:
        even = {name: left * scores[name].numel() / room for name in rest}
        counts |= counts_near(scores, even, least)
    return lowest_of_each(scores, counts, least, draw)


@allocation(patterns=("weight", "filter"), compares="nothing")
def shuffled(scores: Scores, remove: int, least: int, draw: Draw, *, of: str = "global") -> Keep:
    """As many of each layer as another allocation keeps, but drawn (Frankle 2021, section 5).

    This control asks whether a criterion finds more than the sparsity of each layer. It is also
    random pruning with the layer-wise proportions of the criterion. What is gone stays gone.

    Args:
        of: the allocation that says how many of each layer stay.
    """
    if of == "shuffled":
        raise Refused("shuffled must be of another allocation")
    spec = find(Allocation, of)
    counted = load(spec)(scores, remove, least, draw, **check_parameters(spec, {}))
    keep = {}
    for name, value in scores.items():
        drawn = torch.rand(value.shape, generator=draw(f"shuffle {name}")).to(value.device)
        drawn = drawn.masked_fill(value.isneginf(), -torch.inf)
        keep[name] = remove_lowest(drawn, int((~counted[name]).sum()), draw(f"ties {name}"))
    return keep


@allocation(patterns=("weight", "filter"), sparsities=(0.0,), outcome=True, compares="layer")
def threshold(scores: Scores, remove: int, least: int, draw: Draw, *, tau: float = 0.01) -> Keep:
    """Keep every unit that scores at least ``tau``; the sparsity is the outcome.

    The best ``least`` units of each tensor stay in any case, and what is gone stays gone.

    Args:
        tau: the lowest score that is kept.
    """
    kept = {}
    for name, value in scores.items():
        alive = value.numel() - int(value.isneginf().sum())
        best = remove_lowest(value, value.numel() - min(least, alive), draw(f"ties {name}"))
        kept[name] = (value >= tau) | best if least else value >= tau
    return kept
