"""Torch-Pruning's own global pruning by group norms as an allocation, for ``automatic_trials``.

The library itself chooses: its ``MagnitudePruner`` prunes a copy of the network by its
``GroupMagnitudeImportance``, in one ranking over all groups (Fang 2023). Which channels it took is
read off, and goes with the suite's fine-tuning, shrinking and stopwatch as any other method's
choice does. In a configuration:

    criterion: l1-norm  # gives the groups their names; its scores are not looked at
    allocation: {name: "benchmarks/torch_pruning_global.py:chosen", budget: {macs: 0.5}}
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from copy import deepcopy

import torch
import torch_pruning
from torch import nn

from prunebench.errors import Refused
from prunebench.experiment.registry import allocation
from prunebench.pruning.allocation import Draw, Keep
from prunebench.pruning.compose import Trial
from prunebench.pruning.macs import macs
from prunebench.pruning.masks import Chosen, Search
from prunebench.pruning.view import Scores, View

_HALVINGS = 12  # of the range of ratios: to 0.0003 of the channels


@allocation(
    patterns=("filter",),
    schedules=("one-shot",),
    why="Torch-Pruning prunes a copy of the network once",
    outcome="budget",
    tries=True,
    ranges={"budget": {"macs": "(0, 1)"}},
)
def chosen(
    scores: Scores, remove: int, least: int, draw: Draw, trial: Trial, *,
    budget: dict[str, float] | None = None,
) -> Chosen:  # fmt: skip
    """What Torch-Pruning keeps at the smallest ratio of channels at which a budget is met.

    Args:
        scores: of the groups; their names count alone.
        remove: not looked at.
        least: not looked at.
        draw: not used.
        trial: the network.
        budget: the share of all MACs to keep, such as ``{macs: 0.5}``.

    Raises:
        Refused: there is no budget, or no ratio meets it.
    """
    if budget is None:
        raise Refused("name a budget, e.g. {macs: 0.5}")
    view, share = trial.view, budget["macs"]
    low, high = 0.0, 1.0
    best: tuple[Keep, float] | None = None
    for _ in range(_HALVINGS):
        ratio = (low + high) / 2
        keep = kept(view, scores, ratio)
        whole, left = macs(view.model, view.example[:1], trial.masks(keep))
        if left <= share * whole:
            high, best = ratio, (keep, left / whole - share)
        else:
            low = ratio
    if best is None:
        raise Refused(f"Torch-Pruning keeps more than {share:g} of the MACs at every ratio")
    return Chosen(best[0], {}, Search(budget_miss=best[1]))


def kept(view: View, scores: Scores, ratio: float) -> Keep:
    """Return what Torch-Pruning keeps of each group at a ratio, by the names of the scores.

    Args:
        view: the network; layers that may not be pruned are left alone.
        scores: of the groups.
        ratio: of the channels, over all groups.

    Raises:
        Refused: it cuts a group in another way than the suite does.
    """
    gone = cut(view, ratio)[1]
    found = {}
    for group in view.groups:
        if group.name not in scores:
            continue
        removed = [
            {int(item.unit[at]) for at in gone.get(item.parameter, ())} - {-1}
            for item in group.filters()
        ]
        if any(units != removed[0] for units in removed):
            raise Refused(f"Torch-Pruning does not take the group of {group.name!r} as one")
        found[group.name] = torch.ones(group.size, dtype=torch.bool)
        found[group.name][sorted(removed[0])] = False
    return found


def cut(view: View, ratio: float) -> tuple[nn.Module, dict[str, set[int]]]:
    """Return a copy of a network that Torch-Pruning has cut, and the filters it took.

    Args:
        view: the network.
        ratio: of the channels.

    Returns:
        The smaller network; name of a weight -> the positions of its filters that are gone.
    """
    network = deepcopy(view.model).eval()
    for value in network.parameters():
        value.requires_grad_(True)  # it traces by gradients
    # by module: what is cut gets new parameters
    names = {
        module: f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    left_alone = [module for module, name in names.items() if name not in view.layers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pruner = torch_pruning.pruner.MagnitudePruner(
            network, view.example, torch_pruning.importance.GroupMagnitudeImportance(p=2),
            global_pruning=True, pruning_ratio=ratio, ignored_layers=left_alone,
        )  # fmt: skip
        gone: dict[str, set[int]] = defaultdict(set)
        for group in pruner.step(interactive=True):
            for dependency, positions in group:
                module = dependency.target.module
                produces = pruner.DG.is_out_channel_pruning_fn(dependency.handler)
                if module in names and produces:
                    gone[names[module]].update(positions)
            group.prune()
    return network, dict(gone)
