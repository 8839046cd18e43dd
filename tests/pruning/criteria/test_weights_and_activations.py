"""Criteria against hand-made tensors, naive loops and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.pruning.criteria.apoz import apoz
from prunebench.pruning.criteria.gradients import snip, taylor
from prunebench.pruning.criteria.magnitude import magnitude
from prunebench.pruning.criteria.mean_activation import mean_activation
from prunebench.pruning.criteria.norms import l1_norm, l2_norm
from prunebench.pruning.criteria.random import random
from prunebench.pruning.criteria.weight_activation import weight_activation
from prunebench.pruning.view import Batches, View


class Net(nn.Module):
    """A grouped convolution among plain ones, in double precision."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(2, 4, 3, padding=1)
        self.grouped = nn.Conv2d(4, 6, 3, groups=2, bias=False)
        self.hidden = nn.Linear(6 * 4, 5)
        self.head = nn.Linear(5, 3)
        self.relu, self.tanh, self.last = nn.ReLU(), nn.Tanh(), nn.ReLU()
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        x = self.tanh(self.grouped(self.relu(self.one(x))))
        return self.head(self.last(self.hidden(x.flatten(1))))


@pytest.fixture
def batches() -> Batches:
    """Two batches of different size: a mean of batches' means would be wrong."""
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(7, 2, 4, 4, generator=draw, dtype=torch.float64)
    labels = torch.randint(0, 3, (7,), generator=draw)
    return [(inputs[:5], labels[:5]), (inputs[5:], labels[5:])]


def one_linear(weight: list[list[float]]) -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    net[0].weight.data = torch.tensor(weight)
    return net


def test_by_hand() -> None:
    view = View(one_linear([[3.0, -4.0], [0.0, 2.0]]))
    torch.testing.assert_close(magnitude(view), {"0.weight": torch.tensor([[3.0, 4], [0, 2]])})
    torch.testing.assert_close(l1_norm(view), {"0.weight": torch.tensor([7.0, 2.0])})
    torch.testing.assert_close(l2_norm(view), {"0.weight": torch.tensor([5.0, 2.0])})


def test_activations_by_hand() -> None:
    # pre-activations of the four samples: (1, -2), (3, 0), (-1, 4), (2, 2)
    inputs = torch.tensor([[1.0, -2.0], [3.0, 0.0], [-1.0, 4.0], [2.0, 2.0]])
    labels = torch.zeros(4, dtype=torch.long)
    net = one_linear([[1.0, 0.0], [0.0, 1.0]])
    view = View(net, batches=[(inputs[:3], labels[:3]), (inputs[3:], labels[3:])])
    torch.testing.assert_close(apoz(view), {"0.weight": torch.tensor([3 / 4, 2 / 4])})
    torch.testing.assert_close(mean_activation(view), {"0.weight": torch.tensor([6 / 4, 6 / 4])})
    means = torch.tensor([[7 / 4, 0.0], [0.0, 8 / 4]])
    torch.testing.assert_close(weight_activation(view), {"0.weight": means})


def test_norms_by_loops() -> None:
    view = View(Net())
    for name, weight in view.weights.items():
        for i, filter_ in enumerate(weight):
            values = [abs(float(value)) for value in filter_.flatten()]
            assert float(l1_norm(view)[name][i]) == pytest.approx(sum(values), rel=1e-12)
            squares = sum(value**2 for value in values)
            assert float(l2_norm(view)[name][i]) == pytest.approx(squares**0.5, rel=1e-12)


def test_random_is_uniform_and_its_own() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(200, 50), nn.Linear(200, 50), nn.Linear(1, 1))
    before = torch.get_rng_state()
    one, again, other = (random(View(net, seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(one["0.weight"], other["0.weight"])
    assert not torch.equal(one["0.weight"], one["1.weight"])  # the same shape, other draws
    for draws in one.values():
        assert float(draws.min()) >= 0
        assert float(draws.max()) < 1
        assert float(draws.mean()) == pytest.approx(0.5, abs=4 * (1 / 12 / draws.numel()) ** 0.5)


def test_gradients_by_finite_differences(batches: Batches) -> None:
    net = Net()
    inputs = torch.cat([x for x, _ in batches])
    labels = torch.cat([y for _, y in batches])
    view = View(net, batches=batches)
    parameters = dict(net.named_parameters())
    for name, gradient in view.gradients.items():
        flat = parameters[name].data.view(-1)
        for i in range(0, flat.numel(), max(flat.numel() // 7, 1)):
            middle, losses = float(flat[i]), []
            for shift in (1e-5, -1e-5):
                flat[i] = middle + shift
                with torch.no_grad():
                    losses.append(float(functional.cross_entropy(net(inputs), labels)))
            flat[i] = middle
            slope = (losses[0] - losses[1]) / 2e-5
            assert float(gradient.flatten()[i]) == pytest.approx(slope, rel=1e-5, abs=1e-9)
            for criterion in (taylor, snip):
                found = float(criterion(view)[name].flatten()[i])
                assert found == pytest.approx(abs(middle * slope), rel=1e-5, abs=1e-9)


def test_gradients_leave_no_trace(batches: Batches) -> None:
    net = Net().train()
    net.relu.eval()
    net.one.weight.requires_grad_(False)
    with torch.no_grad():  # a caller's own mode does not matter
        gradients = View(net, batches=batches).gradients
    assert float(gradients["one.weight"].abs().sum()) > 0
    assert not net.one.weight.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training
    assert not net.relu.training


def test_own_loss(batches: Batches) -> None:
    view = View(Net(), batches=batches, loss=lambda logits, targets: 3 * logits.mean())
    plain = View(Net(), batches=batches, loss=lambda logits, targets: logits.mean())
    for name, gradient in view.gradients.items():
        torch.testing.assert_close(gradient, 3 * plain.gradients[name])


def _activations(net: Net, inputs: Tensor) -> dict[str, Tensor]:
    """What the activation functions give, channels last."""
    with torch.no_grad():
        one = net.relu(net.one(inputs))
        grouped = net.tanh(net.grouped(one))
        hidden = net.last(net.hidden(grouped.flatten(1)))
    return {
        "one.weight": one.movedim(1, -1).reshape(-1, 4),
        "grouped.weight": grouped.movedim(1, -1).reshape(-1, 6),
        "hidden.weight": hidden,
    }


def test_activation_criteria_by_loops(batches: Batches) -> None:
    net = Net()
    view = View(net, batches=batches)
    after = _activations(net, torch.cat([x for x, _ in batches]))
    shares, means = apoz(view), mean_activation(view)
    assert set(shares) == set(means) == set(after)
    for name, values in after.items():
        for channel in range(values.shape[1]):
            column = [float(value) for value in values[:, channel]]
            active = sum(value > 0 for value in column) / len(column)
            assert float(shares[name][channel]) == pytest.approx(active, abs=1e-6)
            mean = sum(column) / len(column)
            assert float(means[name][channel]) == pytest.approx(mean, rel=1e-9, abs=1e-12)


def test_weight_activation_by_loops(batches: Batches) -> None:
    net = Net()
    inputs = torch.cat([x for x, _ in batches])
    after = _activations(net, inputs)
    into = {
        "one.weight": inputs.movedim(1, -1).reshape(-1, 2),
        "grouped.weight": after["one.weight"],
        "hidden.weight": after["grouped.weight"].view(7, 4, 6).movedim(1, -1).reshape(7, 24),
    }
    scores = weight_activation(View(net, batches=batches))
    for name, weight in View(net).weights.items():
        groups = 2 if name == "grouped.weight" else 1
        out, width = weight.shape[:2]
        for i in range(out):
            for j in range(width):
                column = into[name][:, i // (out // groups) * width + j]
                mean = sum(abs(float(value)) for value in column) / len(column)
                torch.testing.assert_close(scores[name][i, j], weight[i, j].abs() * mean)


def test_linear_layers_over_tokens() -> None:
    """[B, tokens, channels]: the mean is over samples and tokens."""
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    inputs = torch.randn(5, 6, 3, dtype=torch.float64)
    view = View(net, batches=[(inputs, torch.zeros(5))])
    expected = net[0].weight.detach().abs() * inputs.abs().mean((0, 1))
    torch.testing.assert_close(weight_activation(view)["0.weight"], expected)
    active = (net[0](inputs) > 0).double().mean((0, 1))
    torch.testing.assert_close(apoz(view)["0.weight"].double(), active, atol=1e-6, rtol=0)


class Lazy(nn.Module):
    """With a layer that is never run, and functional activations."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle, self.head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.relu(self.used(x)))


def test_refusals() -> None:
    data = [(torch.randn(4, 3), torch.zeros(4, dtype=torch.long))]
    with pytest.raises(Refused, match=r"never runs idle\.weight"):
        weight_activation(View(Lazy(), batches=data))
    with pytest.raises(Refused, match="no activation function"):
        apoz(View(Lazy(), batches=data))
    assert not View(Lazy(), batches=data).gradients["idle.weight"].any()
    words = nn.Sequential(nn.Embedding(9, 3), nn.Linear(3, 2))
    tokens = [(torch.randint(0, 9, (4, 5)), torch.zeros(4))]
    with pytest.raises(Refused, match="embedding"):
        weight_activation(View(words, batches=tokens))
    for criterion in (taylor, snip, apoz, mean_activation, weight_activation):
        with pytest.raises(Refused, match="give batches"):
            criterion(View(Lazy()))
        with pytest.raises(Refused, match="empty"):
            criterion(View(Lazy(), batches=[]))
