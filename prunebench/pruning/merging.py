"""Join channels that grouped convolutions tie together: their groups go whole, or stay.

A grouped convolution computes each part of its outputs from one part of its inputs. Without single
channels its groups would differ in size, which no kernel computes. So all that one group reads and
writes is one unit, as a depth-wise convolution ties each output to its one input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from prunebench.pruning.groups import Slice

Edges = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Channels:
    """Channels that belong together, or the reason why they must stay."""

    size: int  # units
    slices: dict[tuple[str, int], Slice] = field(default_factory=dict)
    filters: tuple[str, ...] = ()  # the weights that produce them
    # grouped convolution's weight -> int64 [in]: the unit of each input, -1 where it has none
    grouped: dict[str, Tensor] = field(default_factory=dict)
    stay: str = ""  # why; empty where they may go
    by_design: bool = (
        False  # they stay in any case: classes, excluded layers, norms of all channels
    )


def merged(found: list[Channels], groups: Mapping[str, int]) -> list[Channels]:
    """Return the channels with those joined that grouped convolutions tie together.

    Args:
        found: channels, each list counted from 0.
        groups: a grouped convolution's weight -> its number of groups.
    """
    first = [0, *np.cumsum([item.size for item in found]).tolist()]
    found = list(found)
    units: list[tuple[int, int]] = []  # pairs that go together
    lists: list[tuple[int, int]] = []
    for name, count in groups.items():
        ends, members = _ends(name, found, first)
        lists += [(members[0], index) for index in members]
        if len(ends) < 2 or any(bool((end < 0).any()) for end in ends):
            reason = f"not all channels of the grouped {name} can be followed"
            for index in members:
                found[index] = _staying(found[index], reason)
            continue
        for tie in torch.cat([end.view(count, -1) for end in ends], 1).tolist():
            units += [(tie[0], unit) for unit in tie]
    unit_of, list_of = _components(units, first[-1]), _components(lists, len(found))
    clusters: dict[int, list[int]] = {}
    for index, number in enumerate(list_of.tolist()):
        clusters.setdefault(number, []).append(index)
    tied = {index for pair in lists for index in pair}
    return [
        _joined([found[i] for i in indices], [unit_of[first[i] : first[i + 1]] for i in indices])
        if indices[0] in tied
        else found[indices[0]]
        for indices in clusters.values()
    ]


def _ends(name: str, found: list[Channels], first: list[int]) -> tuple[list[Tensor], list[int]]:
    """Return the units of a convolution's inputs and outputs, counted over all, and whose they are.

    -1 where a channel has no unit; an end of which no channel has any is not there.
    """
    ends: dict[str, Tensor] = {}
    members = []
    for index, item in enumerate(found):
        units = {"inputs": item.grouped.get(name)}
        if (name, 0) in item.slices:
            units["outputs"] = item.slices[name, 0].unit
        for end, unit in units.items():
            if unit is not None:
                moved = torch.where(unit < 0, unit, unit + first[index])
                ends[end] = torch.where(ends[end] < 0, moved, ends[end]) if end in ends else moved
                members.append(index)
    return list(ends.values()), sorted(set(members))


def _components(pairs: Edges, count: int) -> Tensor:
    """Return the number of the connected component of each of ``count`` nodes."""
    edges = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return torch.from_numpy(connected_components(graph, directed=False)[1]).long()


def _staying(item: Channels, reason: str) -> Channels:
    return item if item.stay else replace(item, stay=reason)


def _joined(parts: list[Channels], units: list[Tensor]) -> Channels:
    """Return several lists of channels as one.

    Args:
        parts: the lists.
        units: int64 [size] of each: equal numbers go together.
    """
    numbers, inverse = torch.cat(units).unique(return_inverse=True)
    slices: dict[tuple[str, int], Slice] = {}
    for part, new in zip(parts, inverse.split([len(each) for each in units]), strict=True):
        for place, item in part.slices.items():
            unit = torch.where(item.unit < 0, item.unit, new[item.unit])
            if place in slices:
                unit = torch.where(unit < 0, slices[place].unit, unit)
            slices[place] = replace(item, unit=unit)
    filters = tuple(dict.fromkeys(name for part in parts for name in part.filters))
    staying = next((part for part in parts if part.stay), None)
    joined = Channels(len(numbers), slices, filters)
    if staying is not None:
        return replace(joined, stay=staying.stay, by_design=staying.by_design)
    if len(numbers) == 1:
        return replace(joined, stay="grouped convolutions tie all of them together")
    return joined
