"""What goes on inside of recurrent modules: the inputs of their weights, and their states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from prunebench.errors import Refused


@dataclass(frozen=True)
class Course:
    """One layer and direction over a call: [B, L, inputs] and [B, L, units], in its own order."""

    inputs: Tensor  # what W_ih multiplies
    previous: Tensor  # what W_hh multiplies: the states one step before
    states: Tensor

    def of(self, parameter: str) -> Tensor:
        """Return what a weight multiplies, by its own name."""
        return self.inputs if parameter.startswith("weight_ih") else self.previous


def part_of(parameter: str) -> str:
    """Return the layer and direction of a weight: ``weight_hh_l0_reverse`` is of ``_l0_reverse``.

    Of a cell's weights that is empty.
    """
    return parameter.removeprefix("weight_ih").removeprefix("weight_hh")


@torch.no_grad()
def courses(module: nn.Module, args: tuple[Any, ...]) -> dict[str, Course]:
    """Return the course of every layer and direction of a call, by the suffix of its parameters.

    Every step counts, also where a sequence is padded.

    Args:
        module: recurrent, in eval mode, of which no layer projects its states.
        args: of the call, in the order of their parameters: the input, and a state or None.

    Raises:
        Refused: the input is a packed sequence.
    """
    given, state = args[0], args[1] if len(args) > 1 else None
    if isinstance(given, PackedSequence):
        raise Refused(f"a {type(module).__name__} is given packed sequences: no inputs to look at")
    first = state[0] if isinstance(state, tuple) else state
    if isinstance(module, nn.RNNCellBase):
        after = module.forward(*args)  # not a call: this runs within a hook of its own
        after = after[0] if isinstance(after, tuple) else after
        before = torch.zeros_like(after) if first is None else first
        shaped = (value.reshape(-1, 1, value.shape[-1]) for value in (given, before, after))
        return {"": Course(*shaped)}
    assert isinstance(module, nn.RNNBase)
    x = given if module.batch_first or given.ndim == 2 else given.transpose(0, 1)
    x = x.unsqueeze(0) if given.ndim == 2 else x
    found: dict[str, Course] = {}
    ends = ("", "_reverse") if module.bidirectional else ("",)
    for layer in range(module.num_layers):
        outputs = []
        for number, end in enumerate(ends):
            suffix, place = f"_l{layer}{end}", layer * len(ends) + number
            run = x.flip(1) if end else x
            starts = None if state is None else _starts(state, place, len(x))
            states = _single(module, suffix)(run, starts)[0]
            before = torch.zeros_like(states[:, :1])
            if first is not None:
                before = first.reshape(-1, len(x), states.shape[-1])[place].unsqueeze(1)
            found[suffix] = Course(run, torch.cat([before, states[:, :-1]], 1), states)
            outputs.append(states.flip(1) if end else states)
        x = torch.cat(outputs, -1)
    return found


def _single(module: Any, suffix: str) -> nn.RNNBase:
    """Return a module of one layer and direction, with the parameters of a part of another."""
    weight = getattr(module, f"weight_ih{suffix}")
    more = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    single: nn.RNNBase = type(module)(
        weight.shape[1], module.hidden_size, bias=module.bias, batch_first=True,
        device=weight.device, dtype=weight.dtype, **more,
    )  # fmt: skip
    for name in single._flat_weights_names:
        setattr(single, name, getattr(module, f"{name.removesuffix('_l0')}{suffix}"))
    return single.eval()


def _starts(state: Any, place: int, batch: int) -> Any:
    """Return the initial state of one layer and direction, of that of all of them."""
    parts = [
        value.reshape(-1, batch, value.shape[-1])[place : place + 1].contiguous()
        for value in (state if isinstance(state, tuple) else (state,))
    ]
    return tuple(parts) if isinstance(state, tuple) else parts[0]
