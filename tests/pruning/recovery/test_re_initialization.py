"""Re-initialization: the same mask from another start, at the scale of a narrower network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from prunebench.pruning.recovery.re_initialization import narrowing
from prunebench.training.loop import learning_rate, train
from tests.pruning.in_memory import build_from, cells, curve_of, normalize, same

SMALL = {
    "criterion": "random", "pattern": "filter", "allocation": "uniform",
    "schedule": "at-initialization", "recovery": "re-initialization",
}  # fmt: skip


def test_a_small_dense_model() -> None:
    curve = curve_of(SMALL, norm=False)
    (cell,) = cells(curve, [0.6])
    assert cell.spent.epochs == 4
    rows = cell.masks["first.weight"].any(1)
    columns = cell.masks["second.weight"].any(0)
    assert torch.equal(rows, columns)
    assert 0 < int(rows.sum()) < 8
    # what is kept computes what the narrower network computes
    model = cell.model.eval()
    channels = cell.masks["conv.weight"].flatten(1).any(1)
    units = cell.masks["second.weight"].any(1)
    inputs = normalize(curve.samples.inputs)
    kept = channels.repeat_interleave(4)
    with torch.no_grad():
        conv = nn.functional.conv2d(
            inputs, model.conv.weight[channels], model.conv.bias[channels], padding=1
        )
        x = model.pool(conv.relu()).flatten(1)
        x = (x @ model.first.weight[rows][:, kept].T + model.first.bias[rows]).relu()
        x = (x @ model.second.weight[units][:, rows].T + model.second.bias[units]).relu()
        x = x @ model.head.weight[:, units].T + model.head.bias
        torch.testing.assert_close(model(inputs), x, rtol=1e-4, atol=1e-5)


def test_re_initialization_is_another_start() -> None:
    method = {"criterion": "magnitude", "recovery": "re-initialization"}
    curve = curve_of(method, seed=5)
    starts = []
    build = curve.build_anew
    curve.build_anew = lambda seed: starts.append(seed) or build(seed)
    (one,) = cells(curve, [0.5])
    (again,) = cells(curve_of(method, seed=5), [0.5])
    (other,) = cells(curve_of(method, seed=6), [0.5])
    assert same(one.model, again.model)
    assert not same(one.model, other.model)
    # single weights that are gone leave the scale as it was
    model = build_from(starts[0])
    with torch.no_grad():
        for name, mask in one.masks.items():
            model.get_parameter(name).mul_(mask)
    train(model, curve.samples, curve.training, seed=3, rate=learning_rate(curve.training),
          stop=4, masks=one.masks)  # fmt: skip
    assert same(model, one.model)


def test_re_initialization_without_a_builder_resets_every_layer() -> None:
    found = []
    for _ in range(2):
        curve = curve_of({"criterion": "magnitude", "recovery": "re-initialization"})
        curve.build_anew = None
        found += cells(curve, [0.5])
    assert same(found[0].model, found[1].model)
    assert not same(found[0].model, curve.model_at(4))


LAWS = {
    "torch": (lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)), 1),
    "he": (lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), 1),
    "he-out": (lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), 0),
    "lecun": (lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"), 1),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("shape", [(64, 24, 3, 3), (40, 100)])
def test_narrow_layers_are_drawn_as_narrow(law: str, shape: tuple[int, ...]) -> None:
    draw_into, dim = LAWS[law]
    torch.manual_seed(0)
    weight = torch.empty(shape)
    draw_into(weight)
    rows, columns = torch.arange(shape[0]) % 4 == 0, torch.arange(shape[1]) % 2 == 0
    mask = (rows[:, None] & columns).view(*shape[:2], *[1] * (len(shape) - 2)).expand(shape)
    scaled = weight[rows][:, columns] * narrowing(weight, mask)
    narrow = torch.empty(scaled.shape)
    draw_into(narrow)
    assert scaled.std().item() == pytest.approx(narrow.std().item(), rel=0.15)
    assert narrowing(weight, mask) == pytest.approx(math.sqrt((4, 2)[dim]))


def test_what_is_not_scaled() -> None:
    torch.manual_seed(0)
    weight = nn.Linear(50, 40).weight
    single = torch.rand(40, 50) < 0.5
    assert narrowing(weight, single) == 1.0
    assert narrowing(weight, torch.ones(40, 50, dtype=torch.bool)) == 1.0
    assert narrowing(weight, torch.zeros(40, 50, dtype=torch.bool)) == 1.0
    half = (torch.arange(768) % 2 == 0).expand(768, 768)
    vit = nn.init.trunc_normal_(torch.empty(768, 768), std=0.02)  # as torch's own, but not uniform
    assert narrowing(vit, half) == 1.0
    depthwise = nn.Conv2d(32, 32, 3, groups=32).weight
    assert (
        narrowing(depthwise, (torch.arange(32) % 2 == 0).view(-1, 1, 1, 1).expand(32, 1, 3, 3)) == 1
    )
