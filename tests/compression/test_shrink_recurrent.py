"""Recurrent networks lose hidden units, and compute what a smaller one built by hand does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.compression.shrunk_description import describe, restore
from tests.messages import unsaid
from tests.pruning.test_hidden_units import FILTERS, UNITS, Tokens, tokens

EMBEDDINGS = {"exclude": ["embed"]}


def pruned(model: nn.Module, allocation: str = "uniform") -> dict[str, Tensor]:
    method = FILTERS | {"allocation": allocation}
    return prunebench.prune(model, method, 0.5, example=tokens(2), prunable=EMBEDDINGS)


def size(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_the_smaller_network_by_hand(kind: type[nn.RNNBase]) -> None:
    model = Tokens(kind(3, UNITS, batch_first=True)).eval()
    masks = pruned(model)
    stays = masks["rnn.weight_hh_l0"].any(0)
    shrunk = shrink(model, masks, tokens(1))
    assert not shrunk.notes
    small = kind(3, int(stays.sum()), batch_first=True)
    rows = stays.repeat(len(masks["rnn.weight_hh_l0"]) // UNITS)
    with torch.no_grad():
        small.weight_ih_l0.copy_(model.rnn.weight_ih_l0[rows])
        small.weight_hh_l0.copy_(model.rnn.weight_hh_l0[rows][:, stays])
        small.bias_ih_l0.copy_(model.rnn.bias_ih_l0[rows])
        small.bias_hh_l0.copy_(model.rnn.bias_hh_l0[rows])
        embedded = model.embed(tokens())
        assert torch.equal(shrunk.model.rnn(embedded)[0], small(embedded)[0])
    assert verify(model, shrunk.model, tokens()) <= TOLERANCE
    kept = {name: mask.sum() for name, mask in masks.items()}
    assert size(shrunk.model) == sum(
        int(kept.get(name, value.numel())) for name, value in model.named_parameters()
    )
    (units,) = [item for item in shrunk.removed if item.name == "rnn"]
    assert (units.unit, units.before, units.after) == ("hidden units", UNITS, small.hidden_size)


@pytest.mark.parametrize("read", ["mean", "last", "end"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_stacks_and_directions(kind: type[nn.RNNBase], both: bool, read: str) -> None:
    if both and read == "end":
        read = "both ends"
    model = Tokens(kind(3, UNITS, 2, batch_first=True, bidirectional=both), read).eval()
    shrunk = shrink(model, pruned(model), tokens(1))
    assert verify(model, shrunk.model, tokens()) <= TOLERANCE
    assert shrunk.model.rnn.hidden_size < UNITS
    assert size(shrunk.model) < size(model)


def test_layers_of_one_module_keep_as_many_units_and_it_is_said() -> None:
    model = Tokens(nn.GRU(3, UNITS, 2, batch_first=True)).eval()
    masks = {name: torch.ones_like(value, dtype=torch.bool)
             for name, value in model.named_parameters()}  # fmt: skip
    for unit, layer in ((0, 0), (1, 0), (2, 1)):  # two units of the first layer, one of the second
        for own in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            masks[f"rnn.{own}_l{layer}"][unit::UNITS] = False
    shrunk = shrink(model, masks, tokens(1))
    assert shrunk.model.rnn.hidden_size == UNITS - 1
    [note] = shrunk.notes
    assert unsaid(note, "1 hidden units of rnn stay", "at zero") == []
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name).mul_(mask)
    assert verify(model, shrunk.model, tokens()) <= TOLERANCE


def test_units_that_nobody_reads_go_too() -> None:
    model = Tokens(nn.LSTM(3, UNITS, batch_first=True)).eval()
    masks = {name: torch.ones_like(value, dtype=torch.bool)
             for name, value in model.named_parameters()}  # fmt: skip
    masks["hidden.weight"][:, 1] = False
    masks["rnn.weight_hh_l0"][:, 1] = False
    shrunk = shrink(model, masks, tokens(1))
    assert shrunk.model.rnn.hidden_size == UNITS - 1


def test_single_weights_leave_units_whole() -> None:
    model = Tokens(nn.LSTM(3, UNITS, batch_first=True)).eval()
    masks = prunebench.prune(model, "magnitude", 0.3)
    shrunk = shrink(model, masks, tokens(1))
    assert verify(model, shrunk.model, tokens()) <= TOLERANCE
    assert shrunk.model.rnn.hidden_size == UNITS


def test_a_packed_sequence_is_shrunk() -> None:
    class Packed(Tokens):
        def forward(self, x: Tensor) -> Tensor:
            lengths = (x != 0).sum(1).clamp(min=1).cpu()
            packed = nn.utils.rnn.pack_padded_sequence(
                self.embed(x), lengths, batch_first=True, enforce_sorted=False
            )
            ends = self.rnn(packed)[1]
            return self.head(self.hidden(ends[-1]).relu())

    model = Packed(nn.GRU(3, UNITS, batch_first=True)).eval()
    shrunk = shrink(model, pruned(model), tokens(1))
    assert verify(model, shrunk.model, tokens()) <= TOLERANCE
    assert shrunk.model.rnn.hidden_size < UNITS
    assert any("which units are constant cannot be told" in note for note in shrunk.notes)


def test_the_shrunk_network_is_described_and_restored() -> None:
    model = Tokens(nn.GRU(3, UNITS, 2, batch_first=True)).eval()
    small = shrink(model, pruned(model), tokens(1)).model
    fresh = Tokens(nn.GRU(3, UNITS, 2, batch_first=True))
    restore(fresh, describe(model, small), small.state_dict())
    assert fresh.rnn.hidden_size == small.rnn.hidden_size < UNITS
    assert torch.equal(fresh(tokens()), small(tokens()))
