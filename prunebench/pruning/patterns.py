"""What is removed together: from scores and a target sparsity to masks.

A pattern knows what its units are and how many must go; the allocation chooses which.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from prunebench.components import pattern
from prunebench.errors import Refused
from prunebench.pruning.groups import Group, expand, kept_dims, kept_weights
from prunebench.pruning.masks import Masks, ones
from prunebench.pruning.view import Scores, View

Allocate = Callable[[Scores, int, int], dict[str, Tensor]]  # scores, how many go, least to keep


def _checked(view: View, scores: Scores) -> Scores:
    for name, value in scores.items():
        if name not in view.layers:
            raise Refused(f"the criterion scored {name!r}, which may not be pruned")
        if value.isnan().any():
            raise Refused(
                f"the criterion gave NaN for {int(value.isnan().sum())} units of {name!r}"
            )
    return scores


@pattern()
def weight(view: View, scores: Scores, allocate: Allocate, sparsity: float) -> Masks:
    """Single weights: exactly round(sparsity · n) of all n prunable weights are removed."""
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
        gone[name] = value if within is None else value.masked_fill(~within, -torch.inf)
    total = sum(value.numel() for value in gone.values())
    return allocate(gone, round(sparsity * total), 0)


@pattern()
def filter_(view: View, scores: Scores, allocate: Allocate, sparsity: float) -> Masks:
    """Filters with all that is coupled to them; at least one of each group stays.

    The number of filters is chosen so that the share of prunable weights removed is as near to the
    target as whole filters allow. A group's score is the mean over its scored members.
    """
    scores = _checked(view, scores)
    units = {group.name: _unit_scores(view, group, scores) for group in view.groups}
    weights = view.weights
    target = round((1 - sparsity) * sum(value.numel() for value in weights.values()))

    def keep(remove: int) -> dict[tuple[str, int], Tensor]:
        return kept_dims(view.groups, allocate(units, remove, 1))

    def missed(remove: int) -> int:
        return kept_weights(keep(remove), weights) - target

    # bisection between what is gone already and all but one of each group: kept weights only fall
    least = low = sum(int(value.isneginf().sum()) for value in units.values())
    high = sum(value.numel() - 1 for value in units.values())
    while low < high:
        middle = (low + high) // 2
        if missed(middle) <= 0:
            high = middle
        else:
            low = middle + 1
    nearest = min(max(low - 1, least), low, key=lambda remove: abs(missed(remove)))
    parameters = dict(view.model.named_parameters())
    return {**ones(weights), **expand(keep(nearest), parameters)}


def _unit_scores(view: View, group: Group, scores: Scores) -> Tensor:
    """Scores [group.size] on the CPU; -inf where earlier rounds removed the channel."""
    members = []
    for item in group.filters():
        if item.parameter in scores:
            found = scores[item.parameter].detach().float().cpu()
            inside = item.unit >= 0
            total = torch.zeros(group.size).index_add_(0, item.unit[inside], found[inside])
            members.append(total / torch.bincount(item.unit[inside], minlength=group.size))
    if not members:
        raise Refused(f"the criterion has no score for the filters of {group.name!r}")
    return torch.stack(members).mean(0).masked_fill(~_alive(view, group), -torch.inf)


def _alive(view: View, group: Group) -> Tensor:
    """Bool [group.size]: which channels earlier rounds kept."""
    alive = torch.ones(group.size, dtype=torch.bool)
    for item in group.filters():
        within = view.within.get(item.parameter)
        if within is not None:
            kept = within.flatten(1).any(1).cpu()
            inside = item.unit >= 0
            alive[item.unit[inside][~kept[inside]]] = False
    return alive
