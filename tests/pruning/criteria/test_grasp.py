"""GraSP against the explicit Hessian of a tiny network."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from prunebench.experiment.settings import Prunable
from prunebench.pruning.api import prune
from prunebench.pruning.criteria.grasp import grasp
from prunebench.pruning.view import View

ALL = Prunable(head=True)


def tiny(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).to(dtype)


def data(dtype: torch.dtype = torch.float64) -> list[tuple[torch.Tensor, torch.Tensor]]:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(7, 3, generator=draw, dtype=torch.float64).to(dtype)
    labels = torch.randint(0, 3, (7,), generator=draw)
    return [(inputs[:5], labels[:5]), (inputs[5:], labels[5:])]


def naive(model: nn.Module, temperature: float) -> torch.Tensor:
    """−w·(Hg) of the paper, from the whole Hessian of the mean loss by all prunable weights."""
    names = ["0.weight", "2.weight"]
    rest = {name: value.detach() for name, value in model.named_parameters() if name not in names}
    weights = [dict(model.named_parameters())[name].detach() for name in names]
    inputs = torch.cat([x for x, _ in data()])
    labels = torch.cat([y for _, y in data()])

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([w.numel() for w in weights])
        values = {n: p.view_as(w) for n, p, w in zip(names, parts, weights, strict=True)}
        output = functional_call(model, {**rest, **values}, (inputs,))
        return functional.cross_entropy(output / temperature, labels)

    flat = torch.cat([w.flatten() for w in weights])
    gradient = torch.autograd.functional.jacobian(loss, flat)
    return -flat * (torch.autograd.functional.hessian(loss, flat) @ gradient)


@pytest.mark.parametrize("temperature", [200.0, 1.0])
def test_is_the_negative_of_the_papers_score(temperature):
    model = tiny()
    view = View(model, batches=data(), prunable=ALL)
    scores = grasp(view, temperature=temperature)
    found = torch.cat([scores["0.weight"].flatten(), scores["2.weight"].flatten()])
    torch.testing.assert_close(found, -naive(model, temperature), rtol=1e-9, atol=1e-20)


def test_removes_what_holds_the_gradient_back():
    """Shrinking the weight of the lowest score lets ‖g‖² grow most, to first order 2·(−w·Hg)."""
    model, step = tiny(), 1e-5
    scores = grasp(View(model, batches=data(), prunable=ALL), temperature=1.0)
    inputs = torch.cat([x for x, _ in data()])
    labels = torch.cat([y for _, y in data()])

    def flow(net: nn.Module) -> float:
        loss = functional.cross_entropy(net(inputs), labels)
        grads = torch.autograd.grad(loss, [net[0].weight, net[2].weight])
        return float(sum((g**2).sum() for g in grads))

    score = scores["0.weight"].flatten()
    lowest = int(score.argmin())
    moved = deepcopy(model)
    with torch.no_grad():
        moved[0].weight.view(-1)[lowest] *= 1 - step
    change = (flow(moved) - flow(model)) / step
    assert score[lowest] < 0 < change
    assert change == pytest.approx(-2 * float(score[lowest]), rel=1e-3)


def test_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    model[0].weight.requires_grad_(False)
    before = deepcopy(model.state_dict())
    grasp(View(model.train(), batches=[(torch.randn(3, 1, 4, 4), torch.tensor([0, 1, 0]))]))
    assert model.training
    assert not model[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_half_precision_is_computed_in_single():
    model = tiny(torch.bfloat16)
    scores = grasp(View(model, batches=data(torch.bfloat16)))
    expected = grasp(
        View(deepcopy(model).float(), batches=[(x.float(), y) for x, y in data(torch.bfloat16)])
    )
    for name, score in scores.items():
        assert score.dtype == torch.float32
        torch.testing.assert_close(score, expected[name])


def test_attention_is_differentiated_twice():
    timm = pytest.importorskip("timm")
    model = timm.create_model("test_vit", num_classes=3, img_size=32)
    batches = [(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))]
    masks = prune(model, {"criterion": "grasp"}, 0.5, batches=batches)
    removed = sum(int((~mask).sum()) for mask in masks.values())
    assert removed == round(0.5 * sum(mask.numel() for mask in masks.values()))
