"""OBD against explicit sample gradients and the Hessian's diagonal."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from prunebench.experiment.settings import Prunable
from prunebench.pruning.criteria._functional import network, sample_gradients
from prunebench.pruning.criteria.obd import obd
from prunebench.pruning.view import View

ALL = Prunable(head=True)


def tiny(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    ).to(dtype)


def data() -> list[tuple[torch.Tensor, torch.Tensor]]:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(7, 1, 3, 3, generator=draw)
    return [(inputs[:5], torch.tensor([0, 1, 2, 0, 1])), (inputs[5:], torch.tensor([2, 2]))]


def test_fisher_is_the_mean_of_squared_sample_gradients():
    model = tiny()
    scores = obd(View(model, batches=data(), prunable=ALL))
    model.eval()
    weights = [model[0].weight, model[4].weight]
    squares = [torch.zeros_like(weight) for weight in weights]
    for inputs, labels in data():
        for image, label in zip(inputs, labels, strict=True):
            loss = functional.cross_entropy(model(image[None]), label[None])
            for total, grad in zip(squares, torch.autograd.grad(loss, weights), strict=True):
                total += grad**2 / 7
    for score, weight, square in zip(scores.values(), weights, squares, strict=True):
        torch.testing.assert_close(score, 0.5 * square * weight.detach() ** 2)


def test_hutchinson_is_the_mean_over_random_signs():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)).double()
    batches = [(torch.randn(6, 2, dtype=torch.float64), torch.randint(0, 2, (6,)))]
    weight = model[0].weight.detach()

    def loss(value: torch.Tensor) -> torch.Tensor:
        hidden = functional.linear(batches[0][0], value, model[0].bias)
        return functional.cross_entropy(model[2](hidden.tanh()), batches[0][1])

    hessian = torch.autograd.functional.hessian(loss, weight).view(4, 4)
    view = View(model, batches=batches)
    draws = []
    for draw in range(3):
        generator = view.generator("hutchinson", f"{draw} 0.weight")
        draws.append(torch.randint(0, 2, (4,), generator=generator) * 2.0 - 1)
    signs = torch.stack(draws).double()
    assert signs.unique().tolist() == [-1, 1]
    diagonal = (signs * (signs @ hessian)).mean(0)
    expected = 0.5 * diagonal * weight.flatten() ** 2
    found = obd(view, hessian="hutchinson", draws=3)["0.weight"].flatten()
    torch.testing.assert_close(found, expected)


def test_chunks_hold_all_samples_and_nothing_outside_of_earlier_masks():
    model = tiny()
    within = {"0.weight": torch.ones(2, 1, 2, 2, dtype=torch.bool)}
    within["0.weight"][0, 0, 0, 0] = False
    view = View(model, batches=data(), within=within)
    chunks = [part["0.weight"].clone() for part in sample_gradients(view, ["0.weight"], chunk=3)]
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    rows = torch.cat(chunks)
    assert not rows[:, 0, 0, 0, 0].any()
    with network(view, ["0.weight"]) as net:
        inputs, labels = data()[1]
        loss = functional.cross_entropy(net.logits(inputs[1:]), labels[1:])
        (last,) = torch.autograd.grad(loss, [net.weights["0.weight"]])
    torch.testing.assert_close(rows[-1], last * within["0.weight"])


def test_half_precision():
    batches = [(inputs.bfloat16(), labels) for inputs, labels in data()]
    scores = obd(View(tiny(torch.bfloat16), batches=batches))
    assert all(score.dtype == torch.float32 and score.gt(0).any() for score in scores.values())
