"""What the weights of recurrent modules multiply, and their states, by the formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.criteria.wanda import wanda
from prunebench.pruning.recurrent_course import courses, part_of
from prunebench.pruning.view import View

UNITS = 4


class Reading(nn.Module):
    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(UNITS * (1 + rnn.bidirectional), 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0].mean(1))

    def get_classifier(self) -> nn.Module:
        return self.head


def batches() -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [(torch.randn(6, 5, 3, generator=draw), torch.arange(6) % 5) for _ in range(2)]


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_every_layer_and_direction_follows_its_equation(given: bool, batch_first: bool) -> None:
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), of torch's documentation."""
    module = nn.RNN(3, UNITS, 2, bidirectional=True, batch_first=batch_first).eval()
    x = torch.randn(6, 5, 3) if batch_first else torch.randn(5, 6, 3)
    start = torch.randn(4, 6, UNITS)
    args = (x, start) if given else (x,)
    outputs, ends = module(*args)
    outputs = outputs if batch_first else outputs.transpose(0, 1)
    found = courses(module, args)
    assert list(found) == ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    for number, (end, course) in enumerate(found.items()):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w_ih, w_hh, b_ih, b_hh = (getattr(module, f"{own}{end}") for own in names)
        expected = torch.tanh(course.inputs @ w_ih.T + b_ih + course.previous @ w_hh.T + b_hh)
        torch.testing.assert_close(course.states, expected)
        torch.testing.assert_close(course.states[:, -1], ends[number])
        first = start[number] if given else torch.zeros(6, UNITS)
        torch.testing.assert_close(course.previous[:, 0], first)
    torch.testing.assert_close(found["_l1"].states, outputs[..., :UNITS])
    torch.testing.assert_close(found["_l1_reverse"].states.flip(1), outputs[..., UNITS:])


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_states_are_the_outputs(kind: type[nn.RNNBase]) -> None:
    module, x = kind(3, UNITS, batch_first=True).eval(), torch.randn(6, 5, 3)
    (course,) = courses(module, (x,)).values()
    torch.testing.assert_close(course.states, module(x)[0])
    assert torch.equal(course.inputs, x)
    torch.testing.assert_close(course.previous[:, 1:], module(x)[0][:, :-1])


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_cell_takes_one_step(cell: type[nn.RNNCellBase]) -> None:
    module, x, state = cell(3, UNITS), torch.randn(6, 3), torch.randn(6, UNITS)
    given = (state, state) if cell is nn.LSTMCell else state
    course = courses(module, (x, given))[part_of("weight_hh")]
    after = module(x, given)
    after = after[0] if isinstance(after, tuple) else after
    assert torch.equal(course.previous[:, 0], state)
    assert torch.equal(course.states[:, 0], after)


class Stepping(nn.Module):
    """A cell that is called step by step, with a head and an embedding, in one of three ways."""

    def __init__(self, cell: type[nn.RNNCellBase], how: str) -> None:
        super().__init__()
        self.table, self.cell, self.how = nn.Embedding(9, 3), cell(3, UNITS), how
        self.head = nn.Linear(UNITS, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(input=tokens) if self.how == "keywords" else self.table(tokens)
        zeros = torch.zeros(len(x), UNITS)
        state = (zeros, zeros) if isinstance(self.cell, nn.LSTMCell) else zeros
        for step in x.unbind(1):
            if self.how == "keywords":
                state = self.cell(hx=state, input=step)
            elif self.how == "keyword":
                state = self.cell(step, hx=state)
            else:
                state = self.cell(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)

    def get_classifier(self) -> nn.Module:
        return self.head


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
@pytest.mark.parametrize("how", ["keyword", "keywords"])
def test_arguments_by_keyword_are_seen(cell: type[nn.RNNCellBase], how: str) -> None:
    """The states given to ``hx=`` count as inputs of W_hh, as those given by place do."""
    plain = Stepping(cell, "places")
    named = Stepping(cell, how)
    named.load_state_dict(plain.state_dict())
    draw = torch.Generator().manual_seed(0)
    given = [(torch.randint(9, (6, 4), generator=draw), torch.arange(6) % 5)]
    exclude = Prunable(exclude=["table"])
    views = [View(model, batches=given, prunable=exclude) for model in (plain, named)]
    for measure in (
        wanda,
        lambda view: view.activation_means(Tensor.abs),
        lambda view: view.input_means(Tensor.abs),
    ):
        one, other = (measure(view) for view in views)
        assert set(one) == {"cell.weight_ih", "cell.weight_hh"}
        for name, value in one.items():
            assert torch.equal(other[name], value)
    # by hand: at the first step the states are zero, and later they are not
    means = views[1].input_means(Tensor.abs)["cell.weight_hh"]
    states, state = [torch.zeros(6, UNITS)], None
    with torch.no_grad():
        for step in plain.table(given[0][0])[:, :-1].unbind(1):
            state = plain.cell(step, state)
            states.append(state[0] if isinstance(state, tuple) else state)
    torch.testing.assert_close(means, torch.stack(states).abs().mean((0, 1)))
    masks = prunebench.prune(
        named, {"criterion": "popularity", "pattern": "row"}, 0.1, batches=given
    )
    assert not masks["table.weight"].all()


def test_wanda_by_hand() -> None:
    """|W|·‖X‖ with the states one step before as the inputs of W_hh."""
    model = Reading(nn.LSTM(3, UNITS, batch_first=True)).eval()
    scores = wanda(View(model, batches=batches()))
    states = torch.cat(
        [torch.cat([torch.zeros(6, 1, UNITS), model.rnn(x)[0][:, :-1]], 1) for x, _ in batches()]
    )
    wanted = model.rnn.weight_hh_l0.abs() * states.flatten(0, 1).norm(dim=0)
    torch.testing.assert_close(scores["rnn.weight_hh_l0"], wanted.detach())


@pytest.mark.parametrize("method", ["sparsegpt", "weight-activation", "wanda"])
@pytest.mark.parametrize("both", [False, True])
def test_criteria_of_inputs_prune_stacks(method: str, both: bool) -> None:
    model = Reading(nn.LSTM(3, UNITS, 2, batch_first=True, bidirectional=both))
    masks = prunebench.prune(model, method, 0.5, batches=batches())
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(total / 2)
    for name, mask in masks.items():
        assert not model.get_parameter(name)[~mask].any()


def test_sparsegpt_is_nearer_than_magnitude() -> None:
    """It compensates on inputs of the calibration batches: the outputs there change less."""
    torch.manual_seed(0)
    dense = Reading(nn.GRU(3, 16, batch_first=True))
    dense.head = nn.Linear(16, 5)
    changes = {}
    for criterion in ("magnitude", "sparsegpt"):
        model = Reading(nn.GRU(3, 16, batch_first=True))
        model.head = nn.Linear(16, 5)
        model.load_state_dict(dense.state_dict())
        prunebench.prune(
            model, {"criterion": criterion, "allocation": "uniform"}, 0.5, batches=batches()
        )
        with torch.no_grad():
            changes[criterion] = sum(
                float((model.rnn(x)[0] - dense.rnn(x)[0]).square().sum()) for x, _ in batches()
            )
    assert changes["sparsegpt"] < changes["magnitude"]


def test_activations_of_units_by_hand() -> None:
    """The mean magnitude of each state, for every gate of the unit."""
    model = Reading(nn.LSTM(3, UNITS, batch_first=True)).eval()
    found = View(model, batches=batches()).activation_means(lambda values: values.abs())
    states = torch.cat([model.rnn(x)[0] for x, _ in batches()]).flatten(0, 1)
    for name in ("rnn.weight_ih_l0", "rnn.weight_hh_l0"):
        torch.testing.assert_close(found[name], states.abs().mean(0).repeat(4).detach())
    masks = prunebench.prune(model, "apoz", 0.5, batches=batches())
    positive = (states > 0).float().mean(0)
    gone = ~masks["rnn.weight_hh_l0"].any(0)
    assert 0 < int(gone.sum()) < UNITS
    assert positive[gone].max() <= positive[~gone].min()


def test_packed_sequences_are_refused_by_name() -> None:
    class Packed(Reading):
        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.full((len(x),), x.shape[1])
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return self.head(self.rnn(packed)[1][-1])

    model = Packed(nn.GRU(3, UNITS, batch_first=True))
    with pytest.raises(Refused, match="a GRU is given packed sequences"):
        prunebench.prune(model, "wanda", 0.5, batches=batches())
