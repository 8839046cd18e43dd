"""Hidden units of recurrent layers: what goes with one, and how tracing sees them.

Unit k of a layer is row k of every gate of its W_ih and W_hh and of their biases, column k of W_hh,
and column k of all that reads the layer (Wen 2018). With all of these at zero, its state starts at
zero and stays there: the gates are constants, and what they let in is tanh(0). So a network without
the unit computes the same.

The graph of torch-pruning knows no such layers, and would follow every step of them. While it
traces, each is replaced by linear layers that have its units as outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from prunebench.pruning.layers import RECURRENT


class HiddenUnits(nn.Linear):
    """Stands for one layer and direction of a recurrent module: its inputs to its units."""

    def __init__(self, module: nn.Module, suffix: str) -> None:
        """Stand in for a part of a module.

        Args:
            module: the recurrent module.
            suffix: of its parameters' names: ``_l0``, ``_l1_reverse``; of a cell none.
        """
        first: Tensor = getattr(module, f"weight_ih{suffix}")
        again: Tensor = getattr(module, f"weight_hh{suffix}")
        super().__init__(first.shape[1], again.shape[1], device=first.device, dtype=first.dtype)
        # a tuple: what it stands for is no part of it
        self.parts = (module, suffix)

    @property
    def projects(self) -> bool:
        """Whether its outputs are not its units, but projections of them."""
        return bool(getattr(self.parts[0], "proj_size", 0))

    @property
    def inputs(self) -> Tensor:
        """W_ih [gates · units, inputs]."""
        return self._parameter("weight_ih")

    @property
    def states(self) -> Tensor:
        """W_hh [gates · units, units]."""
        return self._parameter("weight_hh")

    @property
    def biases(self) -> list[Tensor]:
        """Its biases [gates · units], if any."""
        return [self._parameter(f"bias_{part}") for part in ("ih", "hh")] if self._biased else []

    @property
    def gates(self) -> int:
        """How many rows of a weight one unit has."""
        return len(self.states) // self.states.shape[1]

    @property
    def _biased(self) -> bool:
        return bool(self.parts[0].bias)

    def _parameter(self, own: str) -> Tensor:
        return getattr(self.parts[0], f"{own}{self.parts[1]}")


class _Like(nn.Module):
    """Has the attributes of another module beside its own."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.parts: tuple[Any, ...] = (module,)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.parts[0], name)


class _StandIn(_Like):
    """Has the outputs of a recurrent module, in shape alone."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        directions = ("", "_reverse") if module.bidirectional else ("",)
        self.layers = nn.ModuleList(
            nn.ModuleList(HiddenUnits(module, f"_l{layer}{end}") for end in directions)
            for layer in range(module.num_layers)
        )

    def forward(self, input: Any, hx: Any = None) -> Any:
        del hx  # states of no units of others
        found, last = input.data if isinstance(input, PackedSequence) else input, []
        for layer in self.layers:
            last = [units(found) for units in cast(nn.ModuleList, layer)]
            found = last[0] if len(last) == 1 else torch.cat(last, -1)
        ends = [self._end(units, input) for units in last]
        # the last layer alone: a stack would tie the units of all layers to each other
        states = [torch.zeros_like(ends[0])] * (len(ends) * (len(self.layers) - 1)) + ends
        state = torch.stack(states) if len(states) > 1 else states[0].unsqueeze(0)
        if isinstance(input, PackedSequence):
            found = PackedSequence(found, *input[1:])
        return found, (state, state) if isinstance(self.parts[0], nn.LSTM) else state

    def _end(self, units: Tensor, given: Any) -> Tensor:
        """Return the units of the last step: [B, units], or [units] without a batch."""
        if isinstance(given, PackedSequence):
            order = given.unsorted_indices
            if order is None:
                order = torch.arange(int(given.batch_sizes[0]), device=units.device)
            return units.index_select(0, order)  # a slice could be of the units, says the graph
        return units[:, -1] if units.ndim == 3 and self.parts[0].batch_first else units[-1]


class _CellStandIn(_Like):
    """The same for a cell, which takes one step."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.units = HiddenUnits(module, "")

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        del hx
        units = self.units(input)
        return (units, units) if isinstance(self.parts[0], nn.LSTMCell) else units


@contextmanager
def stand_ins(model: nn.Module) -> Iterator[None]:
    """Replace the recurrent modules inside of a network by their stand-ins within the block."""
    stands: dict[nn.Module, nn.Module] = {}
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, RECURRENT):
                replaced.append((parent, name, child))
                if child not in stands:
                    cell = isinstance(child, nn.RNNCellBase)
                    stands[child] = _CellStandIn(child) if cell else _StandIn(child)
    try:
        for parent, name, child in replaced:
            parent._modules[name] = stands[child]
        yield
    finally:
        for parent, name, child in replaced:
            parent._modules[name] = child
