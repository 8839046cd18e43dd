"""What does not depend on the input, told from what does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunebench.compression.constants import layer_inputs
from prunebench.errors import Refused

ELEMENTWISE = [
    nn.ReLU(), nn.ReLU6(), nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(), nn.GELU(), nn.SiLU(),
    nn.Mish(), nn.ELU(), nn.SELU(), nn.CELU(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(),
    nn.Softplus(), nn.Softsign(), nn.LogSigmoid(), nn.Softshrink(), nn.Hardshrink(), nn.PReLU(),
    nn.Threshold(0, 0), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveMaxPool2d(1), nn.BatchNorm2d(2), nn.GroupNorm(2, 2), nn.Upsample(scale_factor=2),
]  # fmt: skip


@pytest.mark.parametrize("module", ELEMENTWISE, ids=lambda m: type(m).__name__)
@torch.no_grad()
def test_dependence_passes_and_constants_stay(module: nn.Module) -> None:
    """Of two channels one depends on the input; the other is what it always is."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), module, nn.Conv2d(2, 1, 1)).eval()
    model[0].weight[1] = 0
    found = layer_inputs(model, torch.zeros(1, 1, 4, 4))[model[2]]
    assert found.constant.tolist() == [False, True]
    for _ in range(2):
        seen = module(model[0](torch.randn(1, 1, 4, 4)))[:, 1]
        torch.testing.assert_close(seen, found.low[1].expand_as(seen))


class _Between(nn.Module):
    """What a function makes of the two outputs of two layers, before a third reads it."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(2, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.one(x), self.two(x)))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda a, b: a + b, [False, False]),
        (lambda a, b: a * b.sigmoid(), [True, False]),  # zero whatever its gate
        (lambda a, b: b.sigmoid().mul_(a), [True, False]),
        (lambda a, b: torch.maximum(a, b), [False, False]),
        (lambda a, b: nn.functional.layer_norm(a, (2,)), [False, False]),
        (lambda a, b: nn.functional.layer_norm(b, (2,), torch.tensor([0.0, 1]), torch.ones(2)),
         [True, False]),
        (lambda a, b: nn.functional.scaled_dot_product_attention(b, b, a), [True, False]),
        (lambda a, b: nn.functional.scaled_dot_product_attention(a, a, b), [False, False]),
        (lambda a, b: b.softmax(-1) @ torch.zeros(2, 2), [True, True]),
    ],
)  # fmt: skip
@torch.no_grad()
def test_rules(function: Any, expected: list[bool]) -> None:
    model = _Between(function)
    model.one.weight[0] = model.one.bias[0] = 0  # the first output is zero
    found = layer_inputs(model, torch.randn(1, 1, 4, 3))[model.last]
    assert found.constant.tolist() == expected


@torch.no_grad()
def test_borders_are_no_constants() -> None:
    """A padded average of a constant is known, but not the same everywhere."""
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1), nn.AvgPool2d(3, 1, padding=1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
    )
    model[0].weight.zero_()
    found = layer_inputs(model, torch.zeros(1, 1, 4, 4))
    assert not found[model[0]].constant
    assert not found[model[2]].constant
    assert found[model[2]].high.isfinite()


@torch.no_grad()
def test_a_layer_called_twice_has_what_both_calls_agree_on() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.zero_()
    model = nn.Sequential(nn.Linear(3, 2), layer, layer)
    assert not layer_inputs(model, torch.zeros(1, 3))[layer].constant.any()
    unused = nn.Module()
    unused.a, unused.b, unused.forward = nn.Linear(3, 2), nn.Linear(3, 2), lambda x: unused.a(x)
    assert list(layer_inputs(unused, torch.zeros(1, 3))) == [unused.a]


class _Words(nn.Module):
    """What a function makes of the embeddings of tokens and of the tokens, before a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(7, 2), nn.Linear(2, 1)
        self.function = function

    def forward(self, tokens: Tensor) -> Tensor:
        return self.last(self.function(self.words(tokens), tokens))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda e, t: e.mean(1), [True, False]),
        (lambda e, t: e * (t != 0).unsqueeze(-1), [True, False]),  # without what pads
        (lambda e, t: (e * (t != 0)[..., None].float()).sum(1), [True, False]),
        (lambda e, t: e + t[..., None], [False, False]),
        (lambda e, t: e.masked_fill((t == 3)[..., None], 1.0), [False, False]),
        (lambda e, t: e[torch.arange(len(t)), t.argmax(1)], [False, False]),
        (lambda e, t: torch.ones(*t.shape, 2), [True, True]),
        (lambda e, t: e.zero_().masked_fill_((t > 2)[..., None], 1.0), [False, False]),
    ],
)  # fmt: skip
@torch.no_grad()
def test_what_depends_on_tokens(function: Any, expected: list[bool]) -> None:
    model = _Words(function)
    model.words.weight[:, 0] = 0  # the first feature is zero for all entries
    draw = torch.Generator().manual_seed(0)
    found = layer_inputs(model, torch.randint(0, 7, (1, 5), generator=draw))[model.last]
    assert found.constant.tolist() == expected
    for _ in range(3):  # what is called constant is
        tokens = torch.randint(0, 7, (2, 5), generator=draw)
        seen = function(model.words(tokens), tokens)[..., found.constant]
        torch.testing.assert_close(seen, found.low[found.constant].expand_as(seen))


def test_a_course_that_tokens_decide_is_refused() -> None:
    model = _Words(lambda e, t: e if int(t.max()) > 3 else -e)
    with pytest.raises(Refused, match="depends on whole numbers of the input"):
        layer_inputs(model, torch.zeros(1, 5, dtype=torch.int64))
