"""SynFlow against the sum over all paths of a tiny network."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise, product

import pytest
import torch
from torch import nn

from prunebench.errors import Refused
from prunebench.experiment import config
from prunebench.experiment.settings import Model, Prunable
from prunebench.pruning import compose
from prunebench.pruning.api import prune
from prunebench.pruning.criteria.synflow import synflow
from prunebench.pruning.masks import apply
from prunebench.pruning.view import View
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models

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


@pytest.mark.parametrize("name", ["test_resnet", "seed-cnn", "test_vit"])
@pytest.mark.parametrize("equal", [False, True])
def test_rounds_on_one_network_are_those_on_a_new_one_each(name: str, equal: bool) -> None:
    """The network of |w| is made once; here every round begins with an untouched view."""
    model = models.create(Model(name=name), NetworkFacts.of_images(10, 3, 32), seed=0)
    if equal:  # many ties
        with torch.no_grad():
            for value in model.parameters():
                value.copy_((value * 8).round() / 8 + 0.125 * (value > 0))
    before = deepcopy(model.state_dict())
    schedule = {"name": "at-initialization", "rounds": 4}
    method = {"criterion": "synflow", "schedule": schedule, "recovery": "weight-rewinding"}
    data = batches(3, 32, 32)
    found = prune(model, method, 0.9, batches=data)

    plain = config.method({"name": "one", "criterion": "synflow"})
    masks: dict[str, torch.Tensor] = {}
    for number in range(1, 5):
        other = models.create(Model(name=name), NetworkFacts.of_images(10, 3, 32), seed=0)
        other.load_state_dict(before)
        apply(other, masks)
        view = View(other, batches=data, within=masks)
        target = 0.9 if number == 4 else 1 - 0.1 ** (number / 4)
        masks = dict(compose.masks_at(plain, view, synflow(view), target))
    assert found.keys() == masks.keys()
    assert all(torch.equal(found[name], mask) for name, mask in masks.items())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key] * masks.get(key, torch.ones_like(value).bool()))


def test_refuses_what_has_no_meaning():
    tokens = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(Refused, match="tokens"):
        synflow(View(tokens, batches=[(torch.ones(2, 2, dtype=torch.int64), torch.ones(2))]))
    dead = nn.Sequential(nn.Linear(2, 2, bias=False))
    nn.init.zeros_(dead[0].weight)
    with pytest.raises(Refused, match="sum of the outputs"):
        synflow(View(dead, batches=batches(2), prunable=ALL))
