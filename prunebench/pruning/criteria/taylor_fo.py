"""Criterion: the first-order change of the loss when a filter goes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.groups import Group
from prunebench.pruning.layers import RECURRENT
from prunebench.pruning.view import GroupScores, View


@criterion(
    patterns=("filter",),
    needs=("batches", "gradients"),
    ranges={"batch_norm": ("train", "eval")},
)
def taylor_fo(view: View, *, batch_norm: str = "train") -> GroupScores:
    """(Σ g·w)² of what makes a channel, averaged over the batches (Molchanov 2019, equation 8).

    The sum is the derivative of the loss by a gate on the channel. Directly after its batch norm it
    is g_γ·γ + g_β·β (their Taylor-FO-BN); without a batch norm, the sum over the filter's weights
    and its bias. A gate on coupled channels acts on all their filters at once, so their sums are
    added before they are squared. A gate on the hidden unit of a recurrent layer scales what reads
    its state, which its weights make only through other functions. The gradient is that of a
    batch's mean loss.

    Args:
        batch_norm: ``train`` normalizes by each batch, as the authors' code does, which scores
            while it trains (NVlabs/Taylor_pruning, ``main.py``); ``eval`` by running statistics.

    Raises:
        Refused: the loss depends on no filter that could be removed.
    """
    gates = {group.name: _gated(view, group) for group in view.groups}
    named = dict(view.model.named_parameters())
    wanted = {name: named[name] for gate in gates.values() for name, _ in gate}
    sums = {group.name: torch.zeros(group.size) for group in view.groups}
    batches = 0
    for _, gradients in view.batch_gradients(wanted, batch_norm):
        batches += 1
        for group in view.groups:
            sums[group.name] += _gate(gates[group.name], named, gradients, group.size).square()
    if not batches:
        raise Refused("this criterion looks at data, but batches is empty")
    return GroupScores({name: total / batches for name, total in sums.items()})


Gate = dict[tuple[str, int], Tensor]  # (parameter, dimension) -> the unit of each position


def _gated(view: View, group: Group) -> Gate:
    """Return the parameters that a gate on a group scales, with the units along a dimension."""
    names = {id(value): name for name, value in view.model.named_parameters()}
    found: Gate = {}
    for item in group.filters():
        layer = view.layers[item.parameter]
        if isinstance(layer.module, (nn.Embedding, *RECURRENT)):
            found |= {(s.parameter, s.dim): s.unit for s in group.slices if s.reads}
            continue
        norm = view.own_norms.get(item.parameter)
        module: nn.Module = layer.module if norm is None else view.model.get_submodule(norm)
        own = module.parameters(recurse=False)
        found.update({(names[id(value)], 0): item.unit for value in own})
    return found


def _gate(
    gate: Gate, named: dict[str, nn.Parameter], gradients: dict[str, Tensor], size: int
) -> Tensor:
    """Return Σ g·w of each unit, [size] on the CPU."""
    total = torch.zeros(size)
    for (name, dim), unit in gate.items():
        if name in gradients:
            product = gradients[name].float() * named[name].detach().float()
            rows = product.movedim(dim, 0).reshape(len(unit), -1).sum(1).cpu()
            inside = unit >= 0
            total.index_add_(0, unit[inside], rows[inside])
    return total
