"""Shrink a masked network to a smaller one that computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from prunebench.compression.constants import layer_inputs
from prunebench.compression.dead_units import Eliminator
from prunebench.compression.grouped_convolutions import Working, strip, working_copy
from prunebench.compression.noise import noise_like
from prunebench.compression.surgery import (
    Unchanged,
    attentions,
    cut,
    identities,
    mendable,
    set_heads,
    settle,
)
from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.coupling import find_groups, output_difference, passing
from prunebench.pruning.groups import Group, kept_dims
from prunebench.pruning.held_networks import copied, made_permanent, require_tensor, unwrapped
from prunebench.pruning.layers import PRUNABLE, RECURRENT, TRANSPOSED, prunable_layers, weights_of
from prunebench.pruning.masks import checked
from prunebench.pruning.modes import evaluating
from prunebench.text.numbers import plural
from prunebench.training.loop import outputs_of

TOLERANCE = 1e-4  # of ``verify``, in single precision


@dataclass(frozen=True)
class Removed:
    """Units that a layer lost."""

    name: str  # of the module
    # "filters" (rows of its weight), "columns" of an embedding, "hidden units", "heads", or "block"
    # (1 before, 0 after)
    unit: str
    before: int
    after: int


@dataclass(frozen=True)
class Shrunk:
    """A smaller network, in eval mode, and what was removed from it."""

    model: nn.Module
    removed: tuple[Removed, ...]
    notes: tuple[str, ...]  # what could have gone but had to stay, and why


@dataclass(frozen=True)
class ChannelGroups:
    """Which channels of a network can go together; of its structure, whatever its weights."""

    groups: tuple[Group, ...]
    whole: Mapping[str, str]  # layers that stay whole, and why
    notes: tuple[str, ...]


def channel_groups(model: nn.Module, example: Tensor) -> ChannelGroups:
    """Return the channels and heads of a network that can go together, for many calls of `shrink`.

    Args:
        model: any module that torch-pruning can trace; it is not changed.
        example: an input [1, ...] on the model's device, to trace with.

    Raises:
        Refused: the model cannot be traced, or computes its weights from others.
    """
    require_tensor(example)
    return _groups(working_copy(_masked(model, {})), example[:1])


def shrink(
    model: nn.Module, masks: Mapping[str, Tensor], example: Tensor, round_to: int = 1,
    known: ChannelGroups | None = None,
) -> Shrunk:  # fmt: skip
    """Remove from a copy of ``model`` every filter, head and block that its masks make useless.

    Besides whole masked filters these are units whose inputs are all dead, units that nobody reads,
    and units that are the same for every input. The outputs stay the same in eval mode, up to
    rounding.

    Args:
        model: any module that torch-pruning can trace; it is not changed. Of a ``DataParallel`` the
            network inside is meant, and what torch.nn.utils.prune has pruned stays pruned.
        masks: parameter name -> 0 and 1 (False and True) of its shape and any type, 1 is kept;
            applied to the copy.
        example: an input [1, ...] on the model's device, to trace with; also of whole numbers.
        round_to: the channels of a layer are kept at a multiple of it, where it has as many.
        known: the channel groups of the model, where they are known from an earlier call.

    Raises:
        PrunebenchError: masks that do not fit the model, or ``round_to`` below 1.
        Refused: the model cannot be traced, computes its weights from others, or the smaller one
            would compute something else on the example or on noise; its masks hold.
    """
    if round_to < 1:
        raise PrunebenchError(f"round_to must be 1 or more, found {round_to}")
    require_tensor(example)
    masked = _masked(model, masks)
    work = working_copy(masked)
    example = example[:1]
    known = known or _groups(work, example)
    groups, whole, notes = list(known.groups), known.whole, list(known.notes)
    before = {name: _units(module) for name, module in _layers(work.model)}
    heads = {name: int(cast(Any, m).num_heads) for name, m in attentions(work.model).items()}
    diagonal = {work.model.get_submodule(name) for name in work.groups}
    try:
        inputs = layer_inputs(work.model, example)
    except Refused as error:  # without knowing constants, what nobody reads can still go
        inputs = {}
        notes.append(str(error))
    dead = Eliminator(work.model, groups, inputs, diagonal)
    dead.run()
    if constants := dead.constants():
        notes.append(
            f"{constants} units that are the same for every input stay: a layer that pads with"
            " zeros reads them, and its border would change"
        )
    blocks = identities(work.model, example)
    for name in blocks:
        work.model.set_submodule(name, Unchanged())
    work.groups = {name: count for name, count in work.groups.items() if _has(work.model, name)}
    left = dict(work.model.named_parameters())
    groups = [g for g in groups if any(item.parameter in left for item in g.filters())]
    keep = {group.name: dead.keep[group.name] for group in groups}
    notes += [
        f"{rows} masked filters of {name} stay: {reason}"
        for name, reason in whole.items()
        if name in left and (rows := int((~left[name].flatten(1).any(1)).sum()))
    ]
    notes += _leave_out(work, groups, keep, example)
    needed = {name: flags.clone() for name, flags in keep.items()}
    for name in settle(work, groups, keep, round_to):
        notes.append(f"{name} would lose its last channel: one is kept, at zero")
    notes += _kept_for_others(work, groups, needed, keep)
    _finish(work, groups, keep, notes)
    _run(work, example)
    _compare(masked, work.model, example)
    removed = [Removed(name, "block", 1, 0) for name in blocks]
    removed += _changes(work.model, before, heads)
    return Shrunk(work.model, tuple(removed), tuple(notes))


def narrowed(
    model: nn.Module, example: Tensor, channels: Sequence[Callable[[int], int]]
) -> list[nn.Module]:
    """Return copies of a network with fewer channels, to be timed: they compute something else.

    Layers that must have as many channels as each other do; heads stay, and so do channels without
    which the network does not run.

    Args:
        model: the network, which is not changed.
        example: an input [1, ...] on the model's device, to trace with.
        channels: for each copy what gives the channels that a layer keeps of those that it has.

    Raises:
        Refused: the model cannot be traced, or has no channels that could be removed.
    """
    require_tensor(example)
    work, example = working_copy(_masked(model, {})), example[:1]
    known = _groups(work, example)
    groups, notes = list(known.groups), known.notes
    heads = attentions(work.model)
    found = [group for group in groups if group.name not in heads]

    def cut_to(count: Callable[[int], int], some: list[Group]) -> nn.Module:
        names = {group.name for group in some}
        keep = {
            g.name: torch.arange(g.size) < (count(g.size) if g.name in names else g.size)
            for g in groups
        }
        trial = deepcopy(work)
        settle(trial, groups, keep, 1)
        _finish(trial, groups, keep, [])
        _run(trial, example)
        return trial.model

    def fails(some: list[Group]) -> bool:
        try:
            cut_to(channels[0], some)
        except Exception:  # a forward pass may raise anything
            return True
        return False

    fit = passing(found, fails)
    if not fit:
        raise Refused("no channels could be removed: " + "; ".join(notes))
    return [cut_to(count, fit) for count in channels]


@torch.no_grad()
def _masked(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    inner, prefix = unwrapped(model)
    copy = copied(inner)
    made_permanent(copy)
    parameters = dict(copy.named_parameters())
    for name, mask in checked(masks, parameters, prefix).items():
        parameters[name].masked_fill_(~mask, 0)
    return copy


def _groups(work: Working, example: Tensor) -> ChannelGroups:
    """Return the coupled channels and heads of a working copy."""
    # a copy: the trials of find_groups leave their draws in a module that has two names
    trial = copied(work.model)
    layers = prunable_layers(trial, Prunable(head=True), example)
    try:
        # two images: torch-pruning would take a batch of one apart
        found = find_groups(trial, layers, torch.cat([example, example]))
    except Refused as error:
        raise Refused(f"cannot shrink: {error}; the masks still hold") from error
    groups = [*found.groups, *found.columns]
    shared = _shared(work.model)
    tied = [g.name for g in groups if any(item.parameter in shared for item in g.slices)]
    heads = attentions(work.model)
    fixed = [g.name for g in groups if g.name in heads and not mendable(heads[g.name])]
    notes = [f"the heads of {name} stay: its attention has parts of their size" for name in fixed]
    notes += [f"the channels of {name} stay: layers share a weight of theirs" for name in tied]
    if not groups:
        said = f": {found.said()}" if found.whole else ""
        notes.append(f"{type(trial).__name__} has no channels that could be removed{said}")
    left = [group for group in groups if group.name not in (*fixed, *tied)]
    return ChannelGroups(tuple(left), found.whole, tuple(notes))


def _shared(model: nn.Module) -> set[str]:
    """Return the weights that several layers hold: what one reads, another may write."""
    names = {id(value): name for name, value in model.named_parameters()}
    held = [value for _, module in _layers(model) for value in weights_of(module).values()]
    uses = Counter(names[id(value)] for value in held)
    return {name for name, count in uses.items() if count > 1}


def _kept_for_others(
    work: Working, groups: list[Group], needed: Mapping[str, Tensor], keep: Mapping[str, Tensor]
) -> list[str]:
    """Return a note for each recurrent module of which some layers keep units at zero."""
    before, after = kept_dims(groups, dict(needed)), kept_dims(groups, dict(keep))
    notes = []
    for place, module in work.model.named_modules():
        if not isinstance(module, nn.RNNBase):
            continue
        states = [(f"{place}.{own}", 1) for own in weights_of(module) if "_hh_" in own]
        more = sum(int((after[p] & ~before[p]).sum()) for p in states if p in after)
        if more:
            notes.append(
                f"{more} hidden units of {place} stay, at zero: all of its layers and directions"
                " have as many"
            )
    return notes


def _leave_out(
    work: Working, groups: list[Group], keep: dict[str, Tensor], example: Tensor
) -> list[str]:
    """Keep all units of the groups without which the network would not compute the same.

    Args:
        work: the working copy, not yet cut.
        groups: its coupled channels and heads.
        keep: group name -> bool [size], True is kept; changed in place.
        example: an input [1, C, H, W].

    Returns:
        A note for each group that stays.
    """

    def fails(some: list[Group]) -> bool:
        names = {group.name for group in some}
        flags = {
            group.name: keep[group.name].clone() if group.name in names else whole[group.name]
            for group in groups
        }
        trial = deepcopy(work)
        try:
            settle(trial, groups, flags, 1)
            _finish(trial, groups, flags, [])
            return not verify(work.model, trial.model, example) <= TOLERANCE
        except Exception:  # a forward pass may raise anything
            return True

    whole = {name: torch.ones_like(flags) for name, flags in keep.items()}
    cut = [group for group in groups if not keep[group.name].all()]
    fit = {group.name for group in passing(cut, fails)}
    stay = [group.name for group in cut if group.name not in fit]
    for name in stay:
        keep[name].fill_(True)
    return [f"the channels of {name} stay: without some the network differs" for name in stay]


def _finish(work: Working, groups: list[Group], keep: dict[str, Tensor], notes: list[str]) -> None:
    """Cut the working copy and adjust its attributes, in place."""
    found = {name: module for name, module in attentions(work.model).items() if name in keep}
    left = dict(work.model.named_parameters())
    dims = {place: kept for place, kept in kept_dims(groups, keep).items() if place[0] in left}
    cut(work, dims)
    for name, module in found.items():
        set_heads(module, int(keep[name].sum()))
    needed = strip(work)
    if needed:
        notes.append(
            f"{plural(needed, 'layer')} got a bias, for the constants that were removed before"
        )


def _run(work: Working, example: Tensor) -> None:
    """Run the cut network once, or raise Refused."""
    try:
        with torch.no_grad(), evaluating(work.model):
            work.model(example)
    except Exception as error:
        raise Refused(
            f"cannot shrink: {type(work.model).__name__} does not run with fewer channels: {error};"
            " the masks still hold"
        ) from error


def _compare(masked: nn.Module, smaller: nn.Module, example: Tensor) -> None:
    """Raise Refused where the smaller network does not compute what the masked one does."""
    if not (difference := verify(masked, smaller, example)) <= TOLERANCE:
        raise Refused(
            f"cannot shrink: without what seems useless {type(masked).__name__} differs by"
            f" {difference:.2g}; the masks still hold"
        )


def _has(model: nn.Module, name: str) -> bool:
    return name in dict(model.named_modules())


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, PRUNABLE)]


def _units(module: nn.Module) -> int:
    if isinstance(module, RECURRENT):
        return int(cast(Any, module).hidden_size)
    if isinstance(module, TRANSPOSED):
        return module.out_channels
    if isinstance(module, nn.Embedding):
        return module.embedding_dim
    return len(next(iter(weights_of(module).values())))


def _changes(
    model: nn.Module, before: Mapping[str, int], heads: Mapping[str, int]
) -> list[Removed]:
    """Return what the layers that are still there lost, in the network's order."""
    found = []
    owners = {id(module): name for name, module in attentions(model).items()}
    for name, module in model.named_modules():
        if id(module) in owners:
            old, now = heads[owners[id(module)]], int(cast(Any, module).num_heads)
            if now < old:
                found.append(Removed(name, "heads", old, now))
        elif name in before and _units(module) < before[name]:
            words = {nn.Embedding: "columns", **dict.fromkeys(RECURRENT, "hidden units")}
            unit = next((w for kind, w in words.items() if isinstance(module, kind)), "filters")
            found.append(Removed(name, unit, before[name], _units(module)))
    return found


@torch.no_grad()
def verify(masked: nn.Module, shrunk: nn.Module, inputs: Tensor) -> float:
    """Return the largest difference of two networks' outputs, relative to the largest output.

    All outputs, of tuples, mappings and dataclasses too, on ``inputs`` and on as many images of
    normal noise are compared, each relative to the masked network's, in eval mode and single
    precision. To be compared with ``TOLERANCE``.

    Args:
        masked: the network before it was shrunk.
        shrunk: the network after.
        inputs: [B, ...], also of whole numbers: then noise is of numbers as large.

    Returns:
        The difference, infinite where an output is not finite.
    """
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    draw = torch.Generator().manual_seed(0)
    noise = noise_like(inputs, len(inputs), draw)
    one, two = (_single(model) for model in (masked, shrunk))
    worst = 0.0
    with evaluating(one), evaluating(two):
        for given in (inputs, noise):
            # clones: some networks overwrite their input
            want, have = outputs_of(one(given.clone())), outputs_of(two(given.clone()))
            worst = max(worst, output_difference(want, have))
    return worst


def _single(model: nn.Module) -> nn.Module:
    """Return the model, or a copy of it in single precision where it is not."""
    single = all(value.dtype == torch.float32 for value in model.parameters())
    return model if single else copied(model).float()
