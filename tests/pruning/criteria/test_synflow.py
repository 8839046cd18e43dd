"""SynFlow against the sum over all paths of a tiny network."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise, product

import pytest
import torch
from torch import nn

from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.api import prune
from prunebench.pruning.criteria.synflow import synflow
from prunebench.pruning.view import View

ALL = Prunable(head=True)

WIDTHS = (2, 3, 4, 2)


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    pairs = pairwise(WIDTHS)
    layers = [nn.Linear(a, b, bias=False) for a, b in pairs]
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def batches(*shape: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.randn(2, *shape), torch.zeros(2, dtype=torch.int64))]


def by_paths(model: nn.Sequential) -> list[torch.Tensor]:
    """The flow through each weight: the sum over the paths that use it of the product of |w|."""
    weights = [model[i].weight.detach().double().abs() for i in (0, 2, 4)]
    scores = [torch.zeros_like(weight) for weight in weights]
    for path in product(*(range(width) for width in WIDTHS)):
        steps = [(after, before) for before, after in pairwise(path)]
        flow = 1.0
        for weight, step in zip(weights, steps, strict=True):
            flow *= float(weight[step])
        for score, step in zip(scores, steps, strict=True):
            score[step] += flow
    return scores


def test_is_the_flow_over_all_paths():
    model = tiny()
    expected = by_paths(model)
    largest = max(float(score.max()) for score in expected)
    scores = synflow(View(model, batches=batches(2), prunable=ALL))
    for index, score in zip((0, 2, 4), expected, strict=True):
        torch.testing.assert_close(scores[f"{index}.weight"], score / largest)


def test_flow_is_conserved_by_layers():
    """Theorem 2 of the paper: every layer's scores have the same sum."""
    sums = [
        float(score.sum())
        for score in synflow(View(tiny(), batches=batches(2), prunable=ALL)).values()
    ]
    assert sums == pytest.approx([sums[0]] * 3)


def test_batch_norm_at_initialization_is_the_identity():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.Conv2d(3, 2, 3, bias=False))
    normed = nn.Sequential(plain[0], nn.BatchNorm2d(3, eps=0.0), nn.ReLU(), plain[2])
    normed.train()
    found = synflow(View(normed, batches=batches(1, 6, 6)))
    expected = synflow(View(plain, batches=batches(1, 6, 6)))
    for score, other in zip(found.values(), expected.values(), strict=True):
        torch.testing.assert_close(score, other)
    assert normed.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_and_statistics_stay_to_the_bit(dtype):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    model = model.to(dtype).train()
    model[0].weight.requires_grad_(False)
    before = deepcopy(model.state_dict())
    inputs = [(torch.randn(3, 1, 4, 4).to(dtype), torch.tensor([0, 1, 0]))]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = synflow(View(model, batches=inputs))
    assert all(score.dtype == torch.float64 for score in scores.values())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_deep_network_does_not_overflow():
    model = nn.Sequential(*[nn.Linear(64, 64, bias=False) for _ in range(60)])
    with torch.no_grad():
        for layer in model:
            layer.weight.fill_(1.0)  # R = 64^61 > 1e110
    scores = synflow(View(model, batches=batches(64)))
    assert all(torch.allclose(score, torch.ones_like(score)) for score in scores.values())


def test_rounds_keep_every_layer_where_one_round_takes_one_whole():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 100, bias=False), nn.Linear(100, 100, bias=False),
                          nn.Linear(100, 4, bias=False))  # fmt: skip
    kept = {}
    for rounds in (1, 100):
        schedule = {"name": "at-initialization", "rounds": rounds}
        method = {"criterion": "synflow", "schedule": schedule, "recovery": "weight-rewinding"}
        masks = prune(deepcopy(model), method, 0.99, batches=batches(4))
        total = sum(mask.numel() for mask in masks.values())
        assert sum(int(mask.sum()) for mask in masks.values()) == total - round(0.99 * total)
        kept[rounds] = min(int(mask.sum()) for mask in masks.values())
    assert kept[1] == 0 < kept[100]


def test_refuses_what_has_no_meaning():
    tokens = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(Refused, match="tokens"):
        synflow(View(tokens, batches=[(torch.ones(2, 2, dtype=torch.int64), torch.ones(2))]))
    dead = nn.Sequential(nn.Linear(2, 2, bias=False))
    nn.init.zeros_(dead[0].weight)
    with pytest.raises(Refused, match="sum of the outputs"):
        synflow(View(dead, batches=batches(2), prunable=ALL))
