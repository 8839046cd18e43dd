"""Patterns: decide what is removed together, from scores and a target sparsity to masks.

A pattern knows its units and how many of them must go; the allocation that it calls chooses which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.registry import pattern
from prunebench.pruning.groups import Group, Slice, expand, kept_dims, kept_weights
from prunebench.pruning.layers import TRANSPOSED, Layer
from prunebench.pruning.masks import Chosen, Masks, drawn_of, ones, only, tied
from prunebench.pruning.view import GroupScores, Scores, View

Allocate = Callable[[Scores, int, int], dict[str, Tensor]]  # scores, how many go, least to keep


def _checked(view: View, scores: Scores) -> Scores:
    for name, value in scores.items():
        if name not in view.layers:
            raise Refused(f"the criterion scored {name!r}, which may not be pruned")
        if value.numel() and value.max().isnan():  # which it is where any is
            raise Refused(
                f"the criterion gave NaN for {int(value.isnan().sum())} units of {name!r}"
            )
    return scores


@pattern()
def weight(view: View, scores: Scores, allocate: Allocate, sparsity: float) -> Masks:
    """Single weights: exactly round(sparsity · n) of all n prunable weights are removed.

    Raises:
        Refused: scores are missing, of another shape than their weight, or NaN.
    """
    gone = _weight_scores(view, scores)
    total = sum(value.numel() for value in gone.values())
    return allocate(gone, round(sparsity * total), 0)


def _weight_scores(view: View, scores: Scores) -> Scores:
    """Return a score for every prunable weight, in single precision; -inf where it is gone."""
    scores = _checked(view, scores)
    missing = set(view.layers) - set(scores)
    if missing:
        raise Refused(f"the criterion gave no scores for {', '.join(sorted(missing))}")
    gone = {}
    for name, layer in view.layers.items():
        if scores[name].shape != layer.weight.shape:
            raise Refused(
                f"the criterion gave scores of shape {tuple(scores[name].shape)} for {name!r} of"
                f" shape {tuple(layer.weight.shape)}"
            )
        value = scores[name].detach().float()
        within = view.within.get(name)
        gone[name] = value if within is None else only(value, within)
    return gone


@pattern(
    sparsities="1 - n/m", together="m", counts_alone=True,
    ranges={"n": "[1, m]", "m": "[1, inf)"},
)  # fmt: skip
def n_m(
    view: View,
    scores: Scores,
    allocate: Allocate,
    sparsity: float,
    *,
    n: int = 2,
    m: int = 4,
    leave_dense: bool = False,
) -> Masks:
    """n of every m consecutive inputs stay, in each output row (2:4 of Mishra 2021).

    Groups run along the input features of a linear layer, and along the input channels of a
    convolution at each kernel position, as NVIDIA's ASP lays them out. Every group loses the same
    number, so the allocation has no say; draws break ties.

    Args:
        n: weights that stay in each group.
        m: weights in a group.
        leave_dense: keep layers dense that have no such groups, as ASP does: embeddings, transposed
            convolutions, and layers whose inputs (per convolution group) are no multiple of m. The
            sparsity achieved is then below 1 − n/m. By default they are refused by name.

    Raises:
        Refused: a layer has no such groups, the sparsity is neither 1 − n/m nor 0 (which keeps
            everything), no layer can be pruned, or earlier rounds left less than n in a group.
    """
    values = _weight_scores(view, scores)
    if sparsity == 0:
        return {name: ~value.isneginf() for name, value in values.items()}
    if abs(sparsity - (1 - n / m)) > 1e-6:
        raise Refused(f"{n}:{m} removes exactly {1 - n / m:g} of the weights, not {sparsity:g}")
    odd = [
        name
        for name, layer in view.layers.items()
        if isinstance(layer.module, (nn.Embedding, *TRANSPOSED)) or layer.weight.shape[1] % m
    ]
    if odd and (not leave_dense or len(odd) == len(values)):
        raise Refused(
            f"{len(odd)} of {len(values)} layers have no groups of {m} inputs: {', '.join(odd)};"
            " exclude them (prunable: {exclude: [...]}) or set leave_dense: true"
        )
    masks = {name: ~value.isneginf() for name, value in values.items()}
    drawn = {}
    for name in [name for name in values if name not in odd]:
        masks[name], drawn[name] = _n_of_m(name, values[name], n, m, view.generator("ties", name))
    return Chosen(masks, drawn)


def _n_of_m(
    name: str, value: Tensor, n: int, m: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the best n of every m inputs, and which of them were drawn among equal ones.

    Both are bool of the shape of ``value`` [out, in, ...].
    """
    last = value.movedim(1, -1)
    groups = last.reshape(-1, m)
    short = int(((~groups.isneginf()).sum(1) < n).sum())
    if short:
        raise Refused(f"earlier rounds left less than {n} of {m} in {short} groups of {name!r}")
    order = torch.rand(groups.shape, generator=generator).to(groups.device).argsort(1)
    order = order.gather(1, groups.gather(1, order).argsort(dim=1, descending=True, stable=True))
    keep = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order[:, :n], True)
    found = (keep, tied(groups, keep))
    one, two = (flags.view(last.shape).movedim(-1, 1).contiguous() for flags in found)
    return one, two


@pattern(units=True, ranges={"count": ("prunable", "all")})
def filter_(
    view: View, scores: Scores, allocate: Allocate, sparsity: float, *, count: str = "prunable"
) -> Masks:
    """Filters with all that is coupled to them; at least one of each group stays.

    The number of filters is chosen so that the share of prunable weights removed is as near to the
    target as whole filters allow. A group's score is what the criterion gave for the group, else
    the mean over its scored members; a group without a score stays whole.

    Args:
        count: ``all`` counts what goes with the filters too, biases, norms and inputs of the head:
            the network then has as many parameters as one that lost the same share of single
            weights, which loses none of these.

    Raises:
        Refused: no group has a score, or removing all but one filter of each group still falls
            short of the target by more than a filter.
    """
    counted = None if count == "prunable" else dict(view.model.named_parameters())
    return _coupled(view, view.groups, scores, allocate, sparsity, counted, "filter")


@pattern(units=True)
def column(
    view: View, scores: Scores, allocate: Allocate, sparsity: float, *, coupled: bool = True
) -> Masks:
    """Columns of embeddings, the dimensions of their vectors, with all that reads them.

    As ``filter`` removes filters: at least one of each group of columns stays, and the network
    computes what one of narrower embeddings would. It saves the memory of the columns; looking
    entries up takes no MACs, but what reads them has fewer inputs.

    Args:
        coupled: ``false`` removes the columns of every embedding on its own, what reads them stays
            as it is: also where what is coupled to them is not known, or normalized across them.

    Raises:
        Refused: no column can go, and why; no group has a score; or removing all but one column of
            each still falls short of the target by more than a column.
    """
    groups = view.columns if coupled else [
        Group(name, table.weight.shape[1], (_each_of(table, 1),))
        for name, table in view.tables.items()
    ]  # fmt: skip
    return _coupled(view, groups, scores, allocate, sparsity, None, "column")


@pattern()
def row(view: View, scores: Scores, allocate: Allocate, sparsity: float) -> Masks:
    """Rows of embeddings, each all that is known of one entry: a user, an item, a token.

    What is removed of an entry is its whole vector, which is then zero; at least one entry of each
    embedding stays. The number of rows is chosen so that the share of prunable weights removed is
    as near to the target as whole rows allow. It saves memory, and no MACs. The row of the padding
    (``padding_idx``) is of no entry: it stays as it is.

    Raises:
        Refused: no embedding may be pruned or has a score, or all rows but one of each still fall
            short of the target by more than a row.
    """
    groups = []
    for name, table in view.tables.items():
        entries = torch.ones(len(table.weight), dtype=torch.bool)
        padding = cast(nn.Embedding, table.module).padding_idx
        if padding is not None:
            entries[padding] = False
        groups.append(Group(name, int(entries.sum()), (_each_of(table, 0, entries),)))
    return _coupled(view, groups, scores, allocate, sparsity, None, "row")


def _each_of(layer: Layer, dim: int, units: Tensor | None = None) -> Slice:
    """Return each position along a dimension as a unit; where ``units`` is False it is of none."""
    if units is None:
        units = torch.ones(layer.weight.shape[dim], dtype=torch.bool)
    return Slice(layer.name, dim, torch.where(units, units.cumsum(0) - 1, -1), produces=True)


def _coupled(
    view: View, groups: list[Group], scores: Scores, allocate: Allocate, sparsity: float,
    counted: Mapping[str, Tensor] | None, unit: str,
) -> Masks:  # fmt: skip
    """Return masks without as many units of the groups as come nearest to a sparsity.

    Args:
        view: the network.
        groups: of which units can go.
        scores: of the criterion.
        allocate: chooses which.
        sparsity: the share of the prunable weights to remove.
        counted: the parameters that are counted, by name; None: the prunable weights.
        unit: what one is, for messages.
    """
    scores = _checked(view, scores)
    found = {group.name: _unit_scores(view, group, scores) for group in groups}
    units = {name: value for name, value in found.items() if value is not None}
    groups = [group for group in groups if group.name in units]
    if not groups:
        raise Refused(f"the criterion has no score for any {unit} of this model that could go")
    weights, parameters = view.weights, dict(view.model.named_parameters())
    counted = weights if counted is None else counted
    prunable = sum(value.numel() for value in weights.values())
    target = sum(value.numel() for value in counted.values()) - round(sparsity * prunable)

    @cache
    def missed(remove: int) -> int:
        return kept_weights(kept_dims(groups, allocate(units, remove, 1)), counted) - target

    # bisection between what is gone already and all but one of each group: kept weights only fall
    least = low = sum(int(value.isneginf().sum()) for value in units.values())
    high = most = sum(value.numel() - 1 for value in units.values())
    if missed(least) <= 0:  # no more need go
        high = least
    while low < high:
        middle = (low + high) // 2
        if missed(middle) <= 0:
            high = middle
        else:
            low = middle + 1
    nearest = min(max(low - 1, least), low, key=lambda remove: abs(missed(remove)))
    largest = max(value[0].numel() for value in weights.values())
    if low >= most and missed(low) > largest:
        reached = sparsity - missed(low) / prunable
        whole = view.coupling.said() if unit == "filter" else ""
        raise Refused(
            f"only {reached:.4f} of the prunable weights belong to {unit}s that can go, less than"
            f" {sparsity:g}" + (f"; whole stay {whole}" if whole else "")
        )
    chosen = allocate(units, nearest, 1)
    kept = expand(kept_dims(groups, chosen), parameters)
    drawn = drawn_of(chosen)
    sure = kept
    if drawn:
        flags = {name: keep & ~drawn.get(name, ~keep) for name, keep in chosen.items()}
        sure = expand(kept_dims(groups, flags), parameters)
    left = ones({name: value for name, value in weights.items() if name not in kept})
    return Chosen(
        {name: kept[name] if name in kept else left[name] for name in (*weights, *kept)},
        {name: kept[name] & ~sure[name] for name in kept if sure is not kept},
    )


def _unit_scores(view: View, group: Group, scores: Scores) -> Tensor | None:
    """Return scores [group.size] on the CPU; -inf where earlier rounds removed the channel."""
    gone = ~_alive(view, group)
    if isinstance(scores, GroupScores):
        whole = scores.get(group.name)
        return None if whole is None else whole.detach().float().cpu().masked_fill(gone, -torch.inf)
    members = []
    for item in group.filters():
        if item.parameter in scores:
            found = scores[item.parameter].detach().float().cpu()
            if item.dim and found.ndim == 1:
                continue  # scores of rows say nothing of columns
            found = found.movedim(item.dim, 0)
            found = found.reshape(len(found), -1).mean(1)  # of a filter, or of each of its weights
            inside = item.unit >= 0
            total = torch.zeros(group.size).index_add_(0, item.unit[inside], found[inside])
            members.append(total / torch.bincount(item.unit[inside], minlength=group.size))
    if not members:
        return None
    # a member may hold some of the units only
    return torch.stack(members).nanmean(0).masked_fill(gone, -torch.inf)


def _alive(view: View, group: Group) -> Tensor:
    """Return bool [group.size]: the channels that earlier rounds kept."""
    alive = torch.ones(group.size, dtype=torch.bool)
    for item in group.filters():
        within = view.within.get(item.parameter)
        if within is not None:
            kept = within.movedim(item.dim, 0).flatten(1).any(1).cpu()
            inside = item.unit >= 0
            alive[item.unit[inside][~kept[inside]]] = False
    return alive


@pattern(whole_layers=True, units=True)
def block(view: View, scores: Scores, allocate: Allocate, sparsity: float) -> Masks:
    """Whole residual blocks, which become their shortcut: every parameter inside is removed.

    The blocks of the lowest scores go, as many as bring the share of prunable weights removed
    nearest to the target. A block's score is what the criterion gave for it, else the mean over its
    weights or filters.

    Raises:
        Refused: no block can go, or all that can fall short of the target by more than half a
            block.
    """
    blocks, weights = view.blocks, view.weights
    within = view.within
    gone = [all(n in within and not within[n].any() for n in item.weights) for item in blocks]
    values = _block_scores(view, scores).masked_fill(torch.tensor(gone), -torch.inf)
    sizes = torch.tensor([sum(weights[n].numel() for n in item.weights) for item in blocks])
    total = sum(value.numel() for value in weights.values())
    target = round(sparsity * total)

    def keep(remove: int) -> Tensor:
        return allocate({"blocks": values}, remove, 0)["blocks"]

    def missed(remove: int) -> int:
        return target - int(sizes[~keep(remove)].sum())

    nearest = min(range(sum(gone), len(blocks) + 1), key=lambda remove: abs(missed(remove)))
    if 2 * missed(nearest) > int(sizes.max()):  # more than rounding to whole blocks explains
        raise Refused(
            f"only {(target - missed(nearest)) / total:.4f} of the prunable weights lie in residual"
            f" blocks that can go, less than {sparsity:g}"
        )
    parameters = dict(view.model.named_parameters())
    chosen = allocate({"blocks": values}, nearest, 0)
    masks, drawn = ones(weights), Masks()
    by_draw = drawn_of(chosen).get("blocks", torch.zeros(len(blocks), dtype=torch.bool))
    for index, item in enumerate(blocks):
        if not chosen["blocks"][index]:
            masks |= {n: torch.zeros_like(parameters[n], dtype=torch.bool) for n in item.parameters}
        elif by_draw[index]:
            drawn |= ones({n: weights[n] for n in item.weights})
    return Chosen(masks, drawn)


def _block_scores(view: View, scores: Scores) -> Tensor:
    """Return a score of each block, [blocks] on the CPU; Refused where one is missing or NaN."""
    whole = isinstance(scores, GroupScores)
    found = []
    for item in view.blocks:
        names = (item.name,) if whole else item.weights
        missing = [name for name in names if name not in scores]
        if missing:
            raise Refused(f"the criterion gave no scores for {', '.join(missing)}")
        found.append(torch.cat([scores[name].detach().float().cpu().flatten() for name in names]))
    means = torch.stack([value.mean() for value in found])
    if means.isnan().any():
        raise Refused(f"the criterion gave NaN for {int(means.isnan().sum())} blocks")
    return means
