"""Batch norm in the authors' modes: against naive rewritings in train mode on a small network."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.experiment import config
from prunebench.pruning.criteria.gradients import snip, taylor
from prunebench.pruning.criteria.grasp import grasp
from prunebench.pruning.criteria.taylor_fo import taylor_fo
from prunebench.pruning.view import Batches, View


class Normed(nn.Module):
    """A convolution with batch norm, dropout and a hidden layer, in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.hidden = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).tanh().mean((2, 3))
        return self.head(self.hidden(self.drop(x)).tanh())


NAMES = ["conv.weight", "hidden.weight"]


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(2)
    net = Normed().double()
    net.norm.weight.data.uniform_(0.5, 1.5)
    net.norm.bias.data.normal_()
    net.norm.running_mean.normal_()
    net.norm.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.fixture
def batches() -> Batches:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(9, 1, 4, 4, generator=draw, dtype=torch.float64) * 3 + 1
    labels = torch.randint(0, 3, (9,), generator=draw)
    return [(inputs[:6], labels[:6]), (inputs[6:], labels[6:])]


def written_out(model: nn.Module, values: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network with batch norm by its formula: each batch's mean and biased variance."""
    p = {**{name: value.detach() for name, value in model.named_parameters()}, **values}
    x = functional.conv2d(x, p["conv.weight"], padding=1)
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    scale, shift = (p[f"norm.{kind}"].view(1, -1, 1, 1) for kind in ("weight", "bias"))
    x = ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).tanh().mean((2, 3))
    x = (x @ p["hidden.weight"].T + p["hidden.bias"]).tanh()
    return x @ p["head.weight"].T + p["head.bias"]


def naive_gradient(model: nn.Module, batches: Batches, temperature: float = 1.0) -> Tensor:
    """The mean gradient over samples by all prunable weights, flat; differentiable."""
    values = {name: dict(model.named_parameters())[name] for name in NAMES}
    total = 0.0
    for inputs, labels in batches:
        logits = written_out(model, values, inputs) / temperature
        total = total + functional.cross_entropy(logits, labels, reduction="sum")
    count = sum(len(labels) for _, labels in batches)
    found = torch.autograd.grad(total / count, list(values.values()), create_graph=True)
    return torch.cat([value.flatten() for value in found])


def flat(scores: dict[str, Tensor]) -> Tensor:
    return torch.cat([scores[name].flatten() for name in NAMES])


def weights(model: nn.Module) -> Tensor:
    return torch.cat([dict(model.named_parameters())[name].detach().flatten() for name in NAMES])


@pytest.mark.parametrize("criterion", [snip, taylor])
def test_the_gradient_in_train_mode(criterion, model: nn.Module, batches: Batches) -> None:
    before = deepcopy(model.state_dict())
    scores = flat(criterion(View(model, batches=batches), batch_norm="train"))
    expected = (weights(model) * naive_gradient(model, batches)).abs().detach()
    torch.testing.assert_close(scores.double(), expected, rtol=1e-5, atol=1e-9)
    in_eval = flat(criterion(View(model, batches=batches), batch_norm="eval"))
    assert not torch.allclose(in_eval, scores, rtol=0.1)
    # running statistics and modes are as they were
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert not any(module.training for module in model.modules())
    assert model.norm.track_running_stats


def test_both_modes_of_one_view(model: nn.Module, batches: Batches) -> None:
    view = View(model, batches=batches)
    one, two = (view.mean_gradients(mode)["conv.weight"] for mode in ("train", "eval"))
    torch.testing.assert_close(two, view.gradients["conv.weight"], rtol=0, atol=0)
    assert not torch.allclose(one, two, rtol=0.1)


def test_grasp_in_train_mode(model: nn.Module, batches: Batches) -> None:
    before = deepcopy(model.state_dict())
    scores = flat(grasp(View(model, batches=batches), temperature=3.0))
    gradient = naive_gradient(model, batches, 3.0)
    along = (gradient * gradient.detach()).sum()
    by = [dict(model.named_parameters())[name] for name in NAMES]
    product = torch.cat([g.flatten() for g in torch.autograd.grad(along, by)])
    torch.testing.assert_close(scores, weights(model) * product, rtol=1e-8, atol=1e-15)
    in_eval = flat(grasp(View(model, batches=batches), temperature=3.0, batch_norm="eval"))
    assert not torch.allclose(in_eval, scores, rtol=0.1)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_taylor_fo_in_train_mode(model: nn.Module, batches: Batches) -> None:
    """(g_γ·γ + g_β·β)² of each batch's mean loss, averaged over the batches."""
    view = View(model, batches=batches)
    scores = taylor_fo(view)
    total = torch.zeros(4, dtype=torch.float64)
    for inputs, labels in batches:
        gate = torch.ones(4, dtype=torch.float64, requires_grad=True)
        norm = {
            "norm.weight": model.norm.weight.detach() * gate,
            "norm.bias": model.norm.bias.detach() * gate,
        }
        loss = functional.cross_entropy(written_out(model, norm, inputs), labels)
        total += torch.autograd.grad(loss, gate)[0].square()
    found = scores["conv.weight"].double()
    torch.testing.assert_close(found, total / len(batches), rtol=1e-4, atol=1e-9)
    in_eval = taylor_fo(view, batch_norm="eval")["conv.weight"].double()
    assert not torch.allclose(in_eval, found, rtol=0.1)
    assert int(model.norm.num_batches_tracked) == 0


def test_a_batch_of_one_sample_is_left_out(model: nn.Module, batches: Batches) -> None:
    inputs, labels = batches[0]
    more = [*batches, (inputs[:1], labels[:1])]
    for criterion in (snip, grasp):
        one = flat(criterion(View(model, batches=batches), batch_norm="train"))
        two = flat(criterion(View(model, batches=more), batch_norm="train"))
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    with pytest.raises(Refused, match="more than one sample"):
        snip(View(model, batches=more[-1:]), batch_norm="train")


def test_the_defaults_are_the_authors() -> None:
    modes = {"snip": "eval", "grasp": "train", "taylor-fo": "train", "taylor": "eval"}
    for name, mode in modes.items():
        method = config.method({"name": "x", "criterion": name})
        assert method.criterion.parameters["batch_norm"] == mode
