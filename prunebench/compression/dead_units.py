"""Remove dead units from a network without changing what it computes.

A unit (a channel of a group, or a head) can go if every layer that reads it gives it no weight, or
reads a known constant there whose effect the layer's bias can take over. A zero-padded convolution
tells a constant from its absence at the border: constant units that it reads are merged into one of
them, which stays. A removed unit is set to zero wherever it appears, so that the layers before it
may have units that nobody reads any more. This is repeated until nothing changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.compression.constants import CONVOLUTIONS, TRANSPOSED, Inputs
from prunebench.pruning.groups import Group, Slice, expand, kept_dims
from prunebench.pruning.layers import RECURRENT, weights_of


@dataclass
class LayerReading:
    """How one layer reads the units of a group."""

    module: Any  # a linear layer, a convolution, or recurrent
    unit: Tensor  # int64 [in]: the unit of each input column, -1 for none
    used: Tensor  # bool [in]: it has a weight other than zero, and finds something but zero
    value: Tensor  # [in]: the constant there, NaN where there is none
    folds: bool  # its bias can take over a constant
    merges: bool  # its weights for one constant unit can take over those for another

    def units(self, columns: Tensor, size: int) -> Tensor:
        """Return bool [size]: the units that have a column among the given ones."""
        found = torch.zeros(size, dtype=torch.bool)
        found[self.unit[columns & (self.unit >= 0)]] = True
        return found


class Eliminator:
    """Removes dead units from a network in which every layer has a bias of its own."""

    def __init__(
        self, model: nn.Module, groups: list[Group], inputs: Mapping[nn.Module, Inputs],
        block_diagonal: set[nn.Module],
    ) -> None:  # fmt: skip
        """Prepare to remove units of ``model``, in place.

        Args:
            model: a working copy of the network.
            groups: its coupled channels and heads.
            inputs: of its layers.
            block_diagonal: layers whose zeros must stay zero.
        """
        self.groups, self.inputs, self.block_diagonal = groups, inputs, block_diagonal
        self.parameters = dict(model.named_parameters())
        self.keep = {group.name: torch.ones(group.size, dtype=torch.bool) for group in groups}
        weights = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)
        layers = [m for m in model.modules() if isinstance(m, weights)]
        names = {id(value): name for name, value in self.parameters.items()}
        self.readers: dict[str, list[nn.Module]] = {}
        recurrent = [m for m in model.modules() if isinstance(m, RECURRENT)]
        for module in (*layers, *recurrent):
            for value in weights_of(module).values():
                self.readers.setdefault(names[id(value)], []).append(module)
        self.recurrent = {names[id(v)] for m in recurrent for v in weights_of(m).values()}
        self.biases = Counter(id(module.bias) for module in layers)

    @torch.no_grad()
    def run(self) -> None:
        """Remove units until no more can go; ``keep`` then says what is left of each group."""
        # reversed: once a layer stops reading a unit, the layers before it may drop it
        order = self.groups[::-1]
        while sum(self._reduce(group) for group in order):
            pass

    def constants(self) -> int:
        """Return how many of the units that are left are constants other than zero."""
        found = 0
        for group in self.groups:
            varying = torch.zeros(group.size, dtype=torch.bool)
            read = torch.zeros(group.size, dtype=torch.bool)
            for item in self._reads(group):
                varying |= item.units(item.used & item.value.isnan(), group.size)
                read |= item.units(item.used, group.size)
            found += int((self.keep[group.name] & read & ~varying).sum())
        return found

    def _reduce(self, group: Group) -> bool:
        """Remove the units of a group that can go; return whether there were any."""
        live, merging = (torch.zeros(group.size, dtype=torch.bool) for _ in range(2))
        reads = list(self._reads(group))
        for read in reads:
            known = ~read.value.isnan()
            if not read.folds:
                merging |= read.merges & read.units(read.used & known, group.size)
                known &= read.merges
            live |= read.units(read.used & ~known, group.size)
        gone = self.keep[group.name] & (~live | self._silent(group))
        carrier = self._carrier(reads, gone & merging)
        if carrier is not None:
            gone &= ~carrier.refused
        gone &= ~merging if carrier is None else torch.arange(group.size) != carrier.unit
        if not gone.any():
            return False
        for read in reads:
            columns = (read.unit >= 0) & gone[read.unit.clamp(min=0)] & read.used
            if read.folds:
                _fold(read, columns)
            elif carrier is not None:
                _merge(read, columns, carrier.unit)
        self.keep[group.name] &= ~gone
        flags = kept_dims([group], {group.name: ~gone})
        masks = expand(flags, self.parameters)
        for name, mask in masks.items():
            self.parameters[name].masked_fill_(~mask, 0)  # not a product: that leaves −0
        return True

    def _silent(self, group: Group) -> Tensor:
        """Return bool [size]: hidden units whose state stays at zero, since nothing moves them."""
        makers = [item for item in group.slices if not item.reads]
        if any(item.parameter not in self.recurrent for item in group.filters()):
            return torch.zeros(group.size, dtype=torch.bool)
        silent = torch.ones(group.size, dtype=torch.bool)
        for item in makers:
            rows = (self.parameters[item.parameter] != 0).movedim(item.dim, 0)
            moved = rows.reshape(len(rows), -1).any(1).cpu()
            silent[item.unit[moved & (item.unit >= 0)]] = False
        return silent

    def _carrier(self, reads: list[LayerReading], candidates: Tensor) -> _Carrier | None:
        """Return the unit of the largest constants to merge the others into; None without two."""
        merging = [read for read in reads if read.merges and not read.folds]
        if int(candidates.sum()) < 2:
            return None
        values = torch.stack([_by_unit(read, len(candidates)) for read in merging])
        least = values.abs().nan_to_num().amin(0).where(candidates, -torch.inf)
        unit = int(least.argmax())
        at = values[:, unit : unit + 1]
        # a factor far above one would blow up rounding errors
        fits = ((values == 0) | values.isnan() | (values.abs() <= 1e3 * at.abs())).all(0)
        return _Carrier(unit, candidates & ~fits)

    def _reads(self, group: Group) -> Iterator[LayerReading]:
        for item in group.slices:
            for module in self.readers.get(item.parameter, ()):
                if item.reads:
                    yield self._read(module, item)

    def _read(self, module: Any, item: Slice) -> LayerReading:
        weight, found = self.parameters[item.parameter], self.inputs.get(module)
        used = (weight != 0).movedim(item.dim, 0).flatten(1).any(1).cpu()
        value = torch.full((weight.shape[item.dim],), torch.nan, dtype=torch.float64)
        if found is not None:
            value = found.low.cpu().double().where(found.constant.cpu(), value)
        known = found is not None  # a transposed convolution's constants are not
        own = known and self.biases[id(module.bias)] == 1  # recurrent layers' are not
        alone = known and len(self.readers[item.parameter]) == 1
        alone &= module not in self.block_diagonal
        each = torch.bincount(item.unit[item.unit >= 0]).max() == 1
        return LayerReading(
            module, item.unit, used & (value != 0), value,
            folds=own and _unpadded(module), merges=bool(alone and each),
        )  # fmt: skip


@dataclass
class _Carrier:
    """A constant unit that stands for others, which are merged into it."""

    unit: int
    refused: Tensor  # bool [size]: units it cannot stand for


def _unpadded(module: Any) -> bool:
    """Return whether every output reads a constant input in full, at the borders too."""
    if not isinstance(module, CONVOLUTIONS):
        return True
    plain = type(module) in CONVOLUTIONS  # others, as timm's, may pad in their own way
    padding = module.padding if isinstance(module.padding, tuple) else ()
    none = module.padding == "valid" or (padding != () and not any(padding))
    if max(module.kernel_size) == 1:
        return none or module.padding == "same"
    return plain and (none or module.padding_mode != "zeros")


def _by_unit(read: LayerReading, size: int) -> Tensor:
    """Return the constant of each unit, [size]; NaN for a unit that is not read at all."""
    values = torch.full((size,), torch.nan, dtype=torch.float64)
    inside = read.unit >= 0
    values[read.unit[inside]] = read.value[inside]
    return values


def _fold(read: LayerReading, columns: Tensor) -> None:
    """Let the bias take over what the columns contribute."""
    weight = read.module.weight.double()
    total = weight.flatten(2).sum(2) if weight.ndim > 2 else weight
    columns = columns.to(total.device)
    effect = total[:, columns] @ read.value.to(total.device)[columns]
    read.module.bias.copy_(read.module.bias.double() + effect)


def _merge(read: LayerReading, columns: Tensor, carrier: int) -> None:
    """Let the weights for the carrier take over those of the columns."""
    if not columns.any():
        return
    weight = read.module.weight
    into = int((read.unit == carrier).nonzero())
    factors = (read.value[columns] / read.value[into]).to(weight.device)
    added = weight[:, columns.to(weight.device)].double()
    shape = (1, -1, *[1] * (weight.ndim - 2))
    weight[:, into] = (weight[:, into].double() + (added * factors.view(shape)).sum(1)).to(weight)
