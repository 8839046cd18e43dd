"""Find coupled channels: all that must go when a filter goes.

What is coupled to a filter is its bias, its batch norm, the layers that read it, and what a
residual addition ties to it. A removed channel is then zero everywhere, so that a masked network
computes what the smaller network would. A grouped convolution loses whole groups, with the channels
that they read and write. The filters of a recurrent layer are its hidden units. The graph does not
see through attention; there the heads are the units. Every group found is then tried out
(``_leaks``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunebench.pruning.classifier import find_classifier
from prunebench.pruning.groups import Group, Slice, kept_dims
from prunebench.pruning.held_networks import copied
from prunebench.pruning.hidden_units import HiddenUnits
from prunebench.pruning.layers import TRANSPOSED, Layer
from prunebench.pruning.merging import Channels, merged
from prunebench.pruning.modes import evaluating
from prunebench.training.loop import outputs_of

if TYPE_CHECKING:
    from prunebench.pruning.tracing import Step

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm1d,
    nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm,
)  # fmt: skip
_ACROSS = ("layernorm", "rmsnorm", "simplenorm", "responsenorm")
_SHOWN = 3  # reasons that a message gives
_ROUNDING = 1e-6  # relative to the largest output
_DRAWN = 131_101  # values of a trial; a prime
_MAKES, _READS, _CARRIES = "makes", "reads", "carries"  # a parameter's part in channels


@dataclass(frozen=True)
class Coupling:
    """The groups of coupled channels of a network, and what keeps its filters for another reason.

    ``whole``: a weight's name -> why none of its filters can go, where that is a limit of what is
    known of some layer. What must stay by design is not in it: classes, excluded layers, and what
    is normalized across channels. Columns of embeddings stand apart from filters: ``columns`` are
    the groups that embeddings alone make, ``kept_columns`` says of every other embedding why it
    keeps its columns, by design or not.
    """

    groups: list[Group]
    whole: dict[str, str]
    columns: list[Group]
    kept_columns: dict[str, str]

    def said(self) -> str:
        """Return one line that names the layers that stay whole, and why; empty without any."""
        return whole_layers(self.whole)


def whole_layers(whole: Mapping[str, str]) -> str:
    """Return one line that names layers which keep all of their filters, and why."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in whole.items():
        by_reason.setdefault(reason, []).append(name)
    parts = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    more = [f"and {len(parts) - _SHOWN} more reasons"] if len(parts) > _SHOWN else []
    return "; ".join([*parts[:_SHOWN], *more])


def find_groups(model: nn.Module, layers: Mapping[str, Layer], example: Tensor) -> Coupling:
    """Return the groups of coupled channels whose filters are all prunable.

    A group is left out where it ends in the classifier's outputs, where one of its layers may not
    be pruned, where a norm runs across its channels (with fewer channels it would compute something
    else), where it meets a layer that is not known to lose channels, and where a trial shows that a
    removed channel still reaches an output.

    Args:
        model: the network.
        layers: its prunable layers, by the names of their weights.
        example: an input [B, ...] to trace with.

    Raises:
        Refused: the model cannot be traced.
    """
    from prunebench.pruning.tracing import trace  # it takes a while to import, and few need it

    traced = trace(model, example)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    outputs = {n for part in find_classifier(model, example) for n in _names_of(part, names)}
    heads = [group for group in _head_groups(model, names) if group.name in layers]
    inside = {(item.parameter, item.dim) for group in heads for item in group.slices}
    reader = _Reader(names, traced.loose, layers, outputs)
    found = [
        reader.read(steps)
        for steps in traced.couplings
        if not (inside and any(_cuts(step, names) in inside for step in steps))
    ]
    grouped = {
        names[id(module.weight)]: module.groups
        for module in model.modules()
        if isinstance(module, _CONV) and _is_grouped(module) and id(module.weight) in names
    }
    found = merged(found, grouped)
    tables = {names[id(m.weight)] for m in model.modules() if isinstance(m, nn.Embedding)}
    groups = [Group(item.filters[0], item.size, tuple(item.slices.values()))
              for item in found if not item.stay] + heads  # fmt: skip
    sound = _sound(model, groups, example)
    why = {name: (item.stay, item.by_design) for item in found if item.stay
           for name in item.filters if name in layers}  # fmt: skip
    for module, reason in traced.lost.items():
        lost = [name for name in _names_of(module, names) if name in layers]
        why |= dict.fromkeys(lost, (f"its channels cannot be followed: {reason}", False))
    left = {group.name for group in sound}
    leaks = "a trial shows that a removed channel would still reach an output"
    for group in groups:
        if group.name not in left:
            why |= {item.parameter: (leaks, False) for item in group.filters()}
    of_tables = {id(group) for group in sound
                 if all(item.parameter in tables for item in group.filters())}  # fmt: skip
    return Coupling(
        [group for group in sound if id(group) not in of_tables],
        {name: reason for name, (reason, design) in why.items()
         if not design and name not in tables},
        [group for group in sound if id(group) in of_tables],
        {name: reason for name, (reason, _) in why.items() if name in tables},
    )  # fmt: skip


def _names_of(module: nn.Module, names: dict[int, str]) -> list[str]:
    return [names[id(parameter)] for parameter in module.parameters(recurse=False)]


def _across_channels(module: nn.Module | nn.Parameter) -> bool:
    """Return whether a norm's output for one channel depends on the other channels."""
    if isinstance(module, nn.GroupNorm):
        return module.num_groups < module.num_channels
    name = type(module).__name__.lower()  # timm has many of its own
    return isinstance(module, nn.LayerNorm) or any(word in name for word in _ACROSS)


def _is_grouped(module: nn.Module | nn.Parameter) -> bool:
    """Return whether a module is a convolution of several groups that is not depth-wise."""
    return (
        isinstance(module, _CONV)
        and module.groups > 1
        and not module.groups == module.in_channels == module.out_channels
    )


@dataclass(frozen=True)
class _Reader:
    """Reads what the steps of the graph remove, parameter by parameter."""

    names: dict[int, str]  # id of a parameter -> its name
    loose: dict[int, int]  # id of a parameter outside of known modules -> its channels' dimension
    layers: Mapping[str, Layer]
    outputs: set[str]  # parameters of the classifier

    def read(self, steps: list[Step]) -> Channels:
        """Return the channels that the steps remove; with the reason where they must stay."""
        slices: dict[tuple[str, int], Slice] = {}
        grouped: dict[str, Tensor] = {}
        filters: dict[str, None] = {}
        limits, design = [], []
        for step in steps:
            if step.leaves:
                limits.append("the network returns them")
            if _across_channels(step.module):
                design.append("a norm runs across them")
            if unknown := self._unknown(step.module):
                limits.append(f"{unknown} is not known to lose channels")
            for parameter, dim, role, gates in _touched(step, self.loose):
                name = self.names.get(id(parameter))
                if name is None:
                    limits.append(f"a weight of {type(step.module).__name__} is computed")
                    continue
                if role == _MAKES:
                    filters[name] = None
                tied = _is_grouped(step.module) and dim == 1
                size = parameter.shape[dim] // gates
                if isinstance(step.module, _CONV) and tied:
                    size = step.module.in_channels
                unit = torch.full((size,), -1, dtype=torch.int64)
                if max(step.positions) >= size or len(step.positions) != len(step.channels):
                    # the graph lost track: these channels cannot be told apart
                    limits.append(f"the channels that reach {name} cannot be told apart")
                    continue
                unit[torch.as_tensor(step.positions)] = torch.as_tensor(step.channels)
                unit = unit.repeat(gates)
                earlier = slices.get((name, dim))
                whole = None if earlier is None else earlier.unit
                before = grouped.get(name) if tied else whole
                if before is not None:  # a concatenation brings the same channels more than once
                    unit = torch.where(unit < 0, before, unit)
                if tied:
                    grouped[name] = unit
                else:
                    slices[name, dim] = Slice(name, dim, unit, role == _MAKES, role == _READS)
        if any(name in self.outputs for name in filters):
            design.append("they are the classes")
        fixed = [name for name in filters if name not in self.layers]
        if fixed:
            design.append(f"{fixed[0]} may not be pruned")
        if not filters:
            limits.append("no filter makes them")
        return Channels(
            max(max(step.channels) for step in steps) + 1, slices, tuple(filters), grouped,
            next(iter([*design, *limits]), ""), bool(design),
        )  # fmt: skip

    def _unknown(self, module: nn.Module | nn.Parameter) -> str:
        """Return a module's name and type where it has weights and is none that can be read."""
        if isinstance(module, HiddenUnits):
            place = self.names.get(id(module.inputs), "").rpartition(".")[0]
            return f"{place} (a projection)" if module.projects else ""
        known = (*_NORMS, *_CONV, nn.Linear, nn.Embedding, nn.PReLU, nn.Parameter)
        if isinstance(module, known) or _across_channels(module):
            return ""
        if isinstance(module, TRANSPOSED) and module.groups == 1:
            return ""
        own = next(iter(module.parameters()), None)
        if own is None:
            return ""
        place = self.names.get(id(own), "").rpartition(".")[0]
        return f"{place} ({type(module).__name__})"


def _touched(step: Step, loose: dict[int, int]) -> Iterator[tuple[Tensor, int, str, int]]:
    """Yield all that a step of the graph cuts.

    That is (parameter, dimension, its part in the channels, how often the channels repeat along the
    dimension), the last for the gates of recurrent layers.

    The output channels of a transposed convolution go with those of other layers, but make no group
    of their own.
    """
    module = step.module
    if isinstance(module, HiddenUnits):
        yield from _touched_units(module, step.output)
    elif isinstance(module, nn.Parameter):
        if id(module) in loose:
            yield module, loose[id(module)], _CARRIES, 1
    elif isinstance(module, _NORMS):
        for parameter in (module.weight, module.bias):
            if parameter is not None:
                yield parameter, 0, _CARRIES, 1
    elif isinstance(module, nn.PReLU):
        if module.num_parameters > 1:
            yield module.weight, 0, _CARRIES, 1
    elif isinstance(module, nn.Embedding):
        yield module.weight, 1, _MAKES, 1
    elif isinstance(module, TRANSPOSED):  # weight [in, out, ...]
        yield module.weight, int(step.output), _CARRIES if step.output else _READS, 1
        if step.output and module.bias is not None:
            yield module.bias, 0, _CARRIES, 1
    elif isinstance(module, (nn.Linear, *_CONV)):
        depthwise = (
            isinstance(module, _CONV)
            and 1 < module.groups == module.in_channels == module.out_channels
        )
        if step.output or depthwise:
            yield module.weight, 0, _MAKES, 1
            if module.bias is not None:
                yield module.bias, 0, _CARRIES, 1
        else:
            yield module.weight, 1, _READS, 1


def _touched_units(part: HiddenUnits, output: bool) -> Iterator[tuple[Tensor, int, str, int]]:
    """The same for a layer and direction of a recurrent module."""
    if not output:
        yield part.inputs, 1, _READS, 1
        return
    for weight in (part.inputs, part.states):
        yield weight, 0, _MAKES, part.gates
    for bias in part.biases:
        yield bias, 0, _CARRIES, part.gates
    yield part.states, 1, _READS, 1


def _cuts(step: Step, names: dict[int, str]) -> tuple[str, int] | None:
    """Return the (weight, dimension) that a step of the graph cuts in a linear layer, if any."""
    module = step.module
    if not isinstance(module, nn.Linear) or id(module.weight) not in names:
        return None
    return names[id(module.weight)], 0 if step.output else 1


def _head_groups(model: nn.Module, names: dict[int, str]) -> list[Group]:
    """Return attention heads as groups: rows of ``qkv`` in its three parts, columns of ``proj``.

    For modules built like timm's attention. The residual stream that they read and write stays.
    """
    groups = []
    for module in model.modules():
        qkv, proj = getattr(module, "qkv", None), getattr(module, "proj", None)
        count = getattr(module, "num_heads", None)
        if not (isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear) and count):
            continue
        width = proj.in_features
        if qkv.out_features != 3 * width or width % count:
            continue
        unit = torch.arange(width) // (width // count)
        rows = [Slice(names[id(qkv.weight)], 0, unit.repeat(3), True)]
        if qkv.bias is not None:
            rows.append(Slice(names[id(qkv.bias)], 0, unit.repeat(3), False))
        slices = (*rows, Slice(names[id(proj.weight)], 1, unit, False, True))
        groups.append(Group(rows[0].parameter, count, slices))
    return groups


def _sound(model: nn.Module, groups: list[Group], example: Tensor) -> list[Group]:
    """Return the groups of which no removed channel reaches an output."""
    # in a copy: functional_call leaves its values in a module that is registered under two names
    trial = copied(model)
    return passing(groups, lambda some: _leaks(model, trial, some, example))


def passing(groups: list[Group], fails: Callable[[list[Group]], bool]) -> list[Group]:
    """Return the groups that do not fail, found by halving.

    Args:
        groups: to be tried together, and by halves where they fail.
        fails: whether any of some groups fails.
    """
    if not groups or not fails(groups):
        return groups
    half = len(groups) // 2
    parts = (groups[:half], groups[half:]) if half else ()
    return [group for part in parts for group in passing(part, fails)]


@torch.no_grad()
def _leaks(model: nn.Module, trial: nn.Module, groups: list[Group], example: Tensor) -> bool:
    """Return whether the value of a removed channel still reaches an output.

    This depends on the structure alone, so every parameter is replaced by draws, in ``trial``, a
    copy. Half of the units of each group are cut from the layers that read them, and the layers
    that produce those units are drawn twice: the outputs must not differ. Where nothing leaks they
    are the same to the last bits, since zeros are added; a leak may be weak, as that of the keys of
    an early attention.
    """
    named = dict(trial.named_parameters())
    draws = _Draws(max(map(Tensor.numel, named.values())))
    for value in named.values():
        draws.fill(value)
    # at least one of each: a trial that cuts none of a group shows nothing of it
    keep = {g.name: draws.order(g.size) < _kept(g.size) for g in groups}
    readers = {(item.parameter, item.dim) for group in groups for item in group.slices
               if item.reads}  # fmt: skip
    made: list[tuple[Tensor, int, Tensor]] = []  # parameter, dimension, positions that are cut
    read: list[tuple[Tensor, int, Tensor]] = []
    for (name, dim), flags in kept_dims(groups, keep).items():
        gone = (~flags).nonzero().squeeze(1).to(named[name].device)
        (read if (name, dim) in readers else made).append((named[name], dim, gone))
    found = []
    try:
        for again in (False, True):
            for maker, dim, gone in made if again else ():
                draws.fill(maker, dim, gone)
            for reader, dim, gone in read:
                reader.index_fill_(dim, gone, 0)
            _set_buffers(trial, model)
            with evaluating(trial):
                found.append([tensor.clone() for tensor in outputs_of(trial(example))])
    except Exception:  # a forward pass on drawn values may raise anything, and then shows nothing
        return True
    return not _same(*found)


def _same(one: list[Tensor], two: list[Tensor]) -> bool:
    """Return whether outputs are the same up to rounding, and there are values to tell by."""
    return any(map(Tensor.numel, one)) and output_difference(one, two) <= _ROUNDING


def output_difference(want: Sequence[Tensor], have: Sequence[Tensor]) -> float:
    """Return the largest difference of two networks' outputs, each relative to its largest value.

    How many values there are may depend on the network's own, as that of a detector's boxes: a pair
    of outputs without any does not differ.

    Args:
        want: outputs, to which differences are relative.
        have: the others.

    Returns:
        The difference; infinite where shapes differ, a value is not finite or there is none at all.
    """
    if [tensor.shape for tensor in want] != [tensor.shape for tensor in have]:
        return torch.inf
    return max(map(_difference, want, have), default=torch.inf)


def _difference(want: Tensor, have: Tensor) -> float:
    if not (want.isfinite().all() and have.isfinite().all()):
        return torch.inf
    if not want.numel():
        return 0.0
    difference, size = float((want - have).abs().max()), float(want.abs().max())
    return difference / size if size else (torch.inf if difference else 0.0)


def _kept(size: int) -> int:
    """Return how many units of a group a trial keeps: about half, and prime to their number.

    Where halves of the channels, or other equal parts, are taken for each other, so many are never
    the same in each part: the fault shows in every draw.
    """
    return next(count for count in range(size // 2, -1, -1) if gcd(count, size) == 1)


def _set_buffers(trial: nn.Module, model: nn.Module) -> None:
    """Give a copy the network's own buffers, and means of 0 and variances of 1."""
    own = dict(model.named_buffers())
    for name, value in trial.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            value.fill_(name.endswith("var"))
        elif name in own and value.is_floating_point():
            value.copy_(own[name])


class _Draws:
    """Values for the parameters of a trial, which are the same in every trial.

    Draws of a few are repeated for many: to draw each of a large network takes longer than all the
    rest of a trial. Their number is a prime, so that no two filters are the same.
    """

    def __init__(self, most: int) -> None:
        """Draw values.

        Args:
            most: of them are in the largest parameter.
        """
        self._draw = torch.Generator().manual_seed(0)
        self._values = torch.randn(_DRAWN, generator=self._draw).repeat(2 + most // _DRAWN)

    def order(self, size: int) -> Tensor:
        """Return the numbers below ``size`` in a drawn order."""
        return torch.randperm(size, generator=self._draw)

    def fill(self, value: Tensor, dim: int = 0, positions: Tensor | None = None) -> None:
        """Put fresh values in place: of unit gain for weights, around 1 for vectors.

        Args:
            value: a parameter.
            dim: a dimension of it.
            positions: along it, those to put values at; None: everywhere.
        """
        shape = list(value.shape)
        if positions is not None:
            shape[dim] = len(positions)
        first = int(torch.randint(_DRAWN, (), generator=self._draw))
        fresh = self._values[first : first + torch.Size(shape).numel()].view(shape)
        fresh = 1 + fresh / 4 if value.ndim < 2 else fresh * (2 / value[0].numel()) ** 0.5
        if positions is None:
            value.copy_(fresh)
        else:
            value.index_copy_(dim, positions, fresh.to(value))
