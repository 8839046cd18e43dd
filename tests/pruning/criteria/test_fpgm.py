"""FPGM against its definition, written as loops."""

from __future__ import annotations

import math

import torch
from torch import nn

from prunebench.pruning.criteria.fpgm import fpgm
from prunebench.pruning.view import View


def _by_loops(weight: torch.Tensor) -> list[float]:
    rows = weight.double().flatten(1).tolist()
    return [
        sum(math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True))) for y in rows)
        for x in rows
    ]


def _network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 7, 3), nn.ReLU(), nn.Conv2d(7, 4, 1), nn.Flatten(), nn.Linear(16, 2)
    )


def test_sums_of_distances():
    model = _network()
    scores = fpgm(View(model))
    assert list(scores) == ["0.weight", "2.weight"]
    for name, value in scores.items():
        expected = torch.tensor(_by_loops(model.get_parameter(name).detach())).double()
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=0)


def test_looks_at_signs_and_not_at_size():
    """W and −W are far apart, though their magnitudes agree; the largest filter may be central."""
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([-1.0, 1.0, 3.0, 5.0]).view(4, 1, 1, 1))
    assert fpgm(View(model))["0.weight"].tolist() == [12.0, 8.0, 8.0, 12.0]


def test_filters_that_are_nearly_alike_keep_their_distance():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1000.0, 1000.001]).view(2, 1, 1, 1))
    expected = float(torch.tensor(1000.001) - torch.tensor(1000.0))
    assert fpgm(View(model))["0.weight"].tolist() == [expected] * 2


def test_many_filters_that_are_nearly_alike():
    """Enough of them for the fast way of taking distances."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 40, 3, bias=False), nn.Flatten(), nn.Linear(40, 2))
    with torch.no_grad():
        model[0].weight.mul_(1e-4).add_(10.0)
    scores = fpgm(View(model))["0.weight"]
    expected = torch.tensor(_by_loops(model[0].weight.detach())).double()
    torch.testing.assert_close(scores, expected, rtol=1e-6, atol=0)
