"""Hidden units of recurrent layers: what goes with one, by hand, and that its state stays zero."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.pruning.coupling import Coupling, find_groups
from prunebench.pruning.criteria.taylor_fo import taylor_fo
from prunebench.pruning.hidden_units import stand_ins
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.view import View

UNITS = 4
FILTERS = {"criterion": "l2-norm", "pattern": "filter"}


class Tokens(nn.Module):
    """Embeds tokens [B, L], runs a recurrent module over them, reads its states and classifies."""

    def __init__(self, rnn: nn.RNNBase, read: str = "mean") -> None:
        super().__init__()
        self.embed = nn.Embedding(20, rnn.input_size, padding_idx=0)
        self.rnn, self.read = rnn, read
        self.hidden = nn.Linear(UNITS * (1 + rnn.bidirectional), 6)
        self.head = nn.Linear(6, 5)

    def states(self, x: Tensor) -> Tensor:
        return self.rnn(self.embed(x))[0]

    def forward(self, x: Tensor) -> Tensor:
        outputs, ends = self.rnn(self.embed(x))
        ends = ends[0] if isinstance(ends, tuple) else ends
        features = {
            "mean": lambda: outputs.mean(1),
            "last": lambda: outputs[:, -1],
            "end": lambda: ends[-1],
            "both ends": lambda: torch.cat([ends[-2], ends[-1]], 1),
        }[self.read]()
        return self.head(self.hidden(features).relu())

    def get_classifier(self) -> nn.Module:
        return self.head


def tokens(count: int = 8, length: int = 7) -> Tensor:
    found = torch.randint(1, 20, (count, length), generator=torch.Generator().manual_seed(0))
    found[0, 4:] = 0
    return found


def coupled(model: nn.Module) -> Coupling:
    return find_groups(model, prunable_layers(model), tokens(2))


GATES = {nn.RNN: 1, nn.GRU: 3, nn.LSTM: 4}


@pytest.mark.parametrize("kind", GATES)
def test_what_goes_with_a_unit_by_hand(kind: type[nn.RNNBase]) -> None:
    model = Tokens(kind(3, UNITS, batch_first=True))
    found = coupled(model)
    assert not found.whole
    (group,) = [g for g in found.groups if g.name == "rnn.weight_ih_l0"]
    assert group.size == UNITS
    each = list(range(UNITS))
    assert {(s.parameter, s.dim): s.unit.tolist() for s in group.slices} == {
        ("rnn.weight_ih_l0", 0): each * GATES[kind],
        ("rnn.weight_hh_l0", 0): each * GATES[kind],
        ("rnn.bias_ih_l0", 0): each * GATES[kind],
        ("rnn.bias_hh_l0", 0): each * GATES[kind],
        ("rnn.weight_hh_l0", 1): each,
        ("hidden.weight", 1): each,
    }
    assert {s.parameter for s in group.filters()} == {"rnn.weight_ih_l0", "rnn.weight_hh_l0"}


@pytest.mark.parametrize("read", ["mean", "both ends"])
def test_directions_and_layers_are_read_where_they_stand(read: str) -> None:
    """Of two layers and directions, the columns of the second half are those of the reverse one."""
    model = Tokens(nn.GRU(3, UNITS, 2, batch_first=True, bidirectional=True), read)
    found = coupled(model)
    assert not found.whole
    columns = {
        (group.name, s.parameter): (s.unit >= 0).nonzero().flatten().tolist()
        for group in found.groups
        for s in group.slices
        if s.reads and "_hh_" not in s.parameter
    }
    first, second = list(range(UNITS)), list(range(UNITS, 2 * UNITS))
    for reader in ("rnn.weight_ih_l1", "rnn.weight_ih_l1_reverse"):
        assert columns["rnn.weight_ih_l0", reader] == first
        assert columns["rnn.weight_ih_l0_reverse", reader] == second
    if read == "mean":
        assert columns["rnn.weight_ih_l1", "hidden.weight"] == first
        assert columns["rnn.weight_ih_l1_reverse", "hidden.weight"] == second
    else:  # a stack of the two ends ties them to each other
        assert columns["rnn.weight_ih_l1_reverse", "hidden.weight"] == first + second


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_state_of_a_pruned_unit_stays_zero(kind: type[nn.RNNBase], layers: int) -> None:
    model = Tokens(kind(3, UNITS, layers, batch_first=True)).eval()
    method = FILTERS | {"allocation": "uniform"}
    masks = prunebench.prune(model, method, 0.5, example=tokens(2), prunable={"exclude": ["embed"]})
    last = f"rnn.weight_hh_l{layers - 1}"
    gone = ~masks[last].unflatten(0, (-1, UNITS)).flatten(2).any(2).any(0)
    assert 0 < int(gone.sum()) < UNITS
    with torch.no_grad():
        states = model.states(tokens())
    assert torch.equal(states[..., gone], torch.zeros_like(states[..., gone]))
    assert bool((states[..., ~gone] != 0).all())


def test_modules_are_as_they_were_after_tracing() -> None:
    model = Tokens(nn.LSTM(3, UNITS, 2, batch_first=True))
    rnn, names = model.rnn, list(dict(model.named_parameters()))
    given = tokens(2)
    before = model(given)
    with stand_ins(model):
        assert model.rnn is not rnn
        assert (model.rnn.hidden_size, model.rnn.num_layers) == (UNITS, 2)
        for outputs, wanted in zip(model.rnn(model.embed(given)), rnn(model.embed(given)),
                                   strict=True):  # fmt: skip
            parts = zip(outputs, wanted, strict=True) if isinstance(wanted, tuple) else [
                (outputs, wanted)
            ]  # fmt: skip
            assert all(one.shape == two.shape for one, two in parts)
    assert model.rnn is rnn
    assert list(dict(model.named_parameters())) == names
    assert torch.equal(model(given), before)
    with pytest.raises(ZeroDivisionError), stand_ins(model):
        raise ZeroDivisionError
    assert model.rnn is rnn


class Stepped(nn.Module):
    """Runs a cell by hand."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.cell, self.hidden, self.head = cell, nn.Linear(UNITS, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        state = state[0] if isinstance(state, tuple) else state
        return self.head(self.hidden(state).relu())

    def get_classifier(self) -> nn.Module:
        return self.head


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells_lose_units(cell: type[nn.RNNCellBase]) -> None:
    model = Stepped(cell(3, UNITS)).eval()
    x = torch.randn(2, 5, 3)
    found = find_groups(model, prunable_layers(model), x)
    assert {group.name for group in found.groups} == {"cell.weight_ih", "hidden.weight"}
    assert not found.whole


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # slow on CPUs, says torch
def test_a_projection_stays_by_name() -> None:
    model = Tokens(nn.LSTM(3, 8, batch_first=True, proj_size=UNITS))
    found = coupled(model)
    assert [group.name for group in found.groups] == ["hidden.weight"]
    assert found.whole["rnn.weight_ih_l0"] == "rnn (a projection) is not known to lose channels"


def test_states_that_are_returned_stay_by_name() -> None:
    class Returning(Tokens):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            states = self.states(x)
            return self.head(self.hidden(states.mean(1)).relu()), states

    found = coupled(Returning(nn.GRU(3, UNITS, batch_first=True)))
    assert [group.name for group in found.groups] == ["hidden.weight"]
    assert set(found.whole) == {"rnn.weight_ih_l0", "rnn.weight_hh_l0"}


def test_a_gate_on_a_unit_is_taken_from_what_reads_it() -> None:
    """Taylor's score is the squared derivative by a factor on the state, by finite differences."""
    model = Tokens(nn.GRU(3, UNITS, batch_first=True)).double().eval()
    labels = torch.arange(8) % 5
    view = View(model, batches=[(tokens(), labels)])
    scores = taylor_fo(view, batch_norm="eval")["rnn.weight_ih_l0"]
    for unit in range(UNITS):
        losses = []
        for factor in (1 - 1e-5, 1 + 1e-5):
            other = deepcopy(model)
            with torch.no_grad():
                other.rnn.weight_hh_l0[:, unit] *= factor
                other.hidden.weight[:, unit] *= factor
                losses.append(nn.functional.cross_entropy(other(tokens()), labels))
        slope = (losses[1] - losses[0]) / 2e-5
        assert scores[unit] == pytest.approx(float(slope) ** 2, rel=1e-3)
