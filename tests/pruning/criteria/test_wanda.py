"""Wanda by naive loops; the rows of a convolution's input against the convolution itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.api import prune
from prunebench.pruning.criteria._layer_inputs import input_rows, input_sums, matrix
from prunebench.pruning.criteria.wanda import wanda
from prunebench.pruning.layers import Layer
from prunebench.pruning.view import View

ALL = Prunable(head=True)


def labelled(*parts: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(part, torch.zeros(len(part), dtype=torch.int64)) for part in parts]


def test_linear_layer_by_loops():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    inputs = torch.randn(5, 6, 4)  # samples, tokens, features
    score = wanda(View(model, batches=labelled(inputs[:3], inputs[3:]), prunable=ALL))["0.weight"]
    weight = model[0].weight.detach()
    for i in range(3):
        for j in range(4):
            norm = sum(float(x[j]) ** 2 for sample in inputs for x in sample) ** 0.5
            assert float(score[i, j]) == pytest.approx(abs(float(weight[i, j])) * norm, rel=1e-5)


def test_convolution_by_loops():
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    inputs = torch.randn(3, 4, 5, 5)
    score = wanda(View(nn.Sequential(layer), batches=labelled(inputs), prunable=ALL))["0.weight"]
    padded, weight = nn.functional.pad(inputs, (1, 1, 1, 1)), layer.weight.detach()
    for out, c, y, x in torch.cartesian_prod(*(torch.arange(n) for n in score.shape)).tolist():
        channel = (out // 3) * 2 + c
        met = [padded[n, channel, y + 2 * i, x + 2 * j] for n in range(3) for i in range(3)
               for j in range(3)]  # fmt: skip
        norm = float(torch.stack(met).norm())
        expected = abs(float(weight[out, c, y, x])) * norm
        assert float(score[out, c, y, x]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 3, padding="same", dilation=2, groups=2), (4, 9)),
        (nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0)), (3, 7, 6)),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6, padding_mode="circular"), (6, 5, 5)),
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect", bias=False), (2, 5, 4)),
        (nn.Conv3d(2, 4, 2, stride=2), (2, 4, 6, 4)),
        (nn.Linear(5, 3), (7, 5)),
    ],
)
def test_rows_times_weight_is_the_layer(layer, shape):
    inputs = torch.randn(2, *shape)
    rows = input_rows(layer, inputs) @ matrix(Layer("w", layer)).mT  # [groups, N · L, out / groups]
    output = layer(inputs).detach()
    if layer.bias is not None:
        shape = [1, -1] + [1] * (output.ndim - 2)
        output -= layer.bias.detach() if isinstance(layer, nn.Linear) else layer.bias.view(shape)
    flat = output.flatten(0, -2) if isinstance(layer, nn.Linear) else output.movedim(1, -1)
    expected = flat.reshape(-1, flat.shape[-1])
    torch.testing.assert_close(rows.transpose(0, 1).flatten(1), expected.detach())


def test_shared_weights_see_all_their_inputs():
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    model = nn.Sequential(first, nn.ReLU(), second)
    inputs = torch.randn(4, 3)
    sums = input_sums(View(model, batches=labelled(inputs), prunable=ALL), ["0.weight"],
                      lambda rows: rows.square().sum(1))  # fmt: skip
    hidden = first(inputs).relu()
    expected = (inputs.square() + hidden.square()).sum(0, keepdim=True)
    torch.testing.assert_close(sums["0.weight"], expected.detach())


def test_half_precision():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2)).to(torch.bfloat16)
    batches = labelled(torch.randn(3, 2, 4, 4).to(torch.bfloat16))
    scores = wanda(View(model, batches=batches))
    assert scores["0.weight"].dtype == torch.float32
    assert scores["0.weight"].isfinite().all()


class Doubled(nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * inputs)


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.used(inputs)


def test_refuses_what_is_no_product_of_weight_and_input():
    inputs = labelled(torch.randn(4, 3))
    with pytest.raises(Refused, match="something else"):
        wanda(View(nn.Sequential(Doubled(3, 2)), batches=inputs, prunable=ALL))
    with pytest.raises(Refused, match=r"never runs spare.weight"):
        wanda(View(Unused(), batches=inputs, prunable=ALL))
    tokens = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(Refused, match="embedding"):
        wanda(View(tokens, batches=labelled(torch.ones(2, 2, dtype=torch.int64))))


def test_per_row_as_in_the_paper():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 4), nn.Linear(4, 2))
    weight, inputs = model[0].weight.detach().clone(), torch.randn(20, 10) * torch.arange(10)
    method = {"criterion": "wanda", "allocation": "per-row"}
    keep = prune(model, method, 0.5, batches=labelled(inputs))["0.weight"]
    score = weight.abs() * inputs.norm(dim=0)
    for row, mask in zip(score, keep, strict=True):
        assert set(mask.nonzero().flatten().tolist()) == set(row.topk(5).indices.tolist())
    assert not keep[:, 0].any()  # an input that is always zero
