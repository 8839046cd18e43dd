"""Weights that are not prunable are named, so that a sparsity says what it is a share of."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.experiment.settings import Prunable
from prunebench.pruning.layers import sort_layers
from prunebench.pruning.left_out import left_out, said


class Mixed(nn.Module):
    """Weights that are not prunable, and layers of many kinds that are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.up = nn.ConvTranspose2d(8, 8, 2)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.pair = nn.Bilinear(8, 8, 8)
        self.mixing = nn.Parameter(torch.randn(4, 6))
        self.positions, self.scale = nn.Parameter(torch.randn(1, 4, 8)), nn.Parameter(torch.ones(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(self.stem(x)).flatten(2).transpose(1, 2)
        x = self.rnn(self.attend(x, x, x)[0])[0]
        return self.head(self.pair(x, x).mean(1))


LEFT = {"pair.weight": 8 * 8 * 8, "mixing": 24}
PRUNABLE = {
    "stem.weight": 3 * 8 * 9,
    "up.weight": 8 * 8 * 2 * 2,
    "attend.in_proj_weight": 24 * 8,
    "attend.out_proj.weight": 8 * 8,
    "rnn.weight_ih_l0": 24 * 8,
    "rnn.weight_hh_l0": 24 * 8,
}


def test_weights_that_are_not_prunable_by_hand() -> None:
    model = Mixed()
    layers = sort_layers(model)
    assert {name: layer.weight.numel() for name, layer in layers.prunable.items()} == PRUNABLE
    assert left_out(model, layers) == LEFT
    settings = Prunable(exclude=["rnn.*", "stem.*", "pair"])
    layers = sort_layers(model, settings)
    assert sorted(left_out(model, layers, settings)) == ["mixing"]


def test_pruning_says_what_the_share_is_of() -> None:
    model = Mixed()
    total = sum(value.numel() for value in model.parameters())
    share = sum(PRUNABLE.values()) / total
    with pytest.warns(UserWarning, match="not prunable") as caught:
        prunebench.prune(model, "magnitude", 0.5)
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(f"a sparsity is a share of the {100 * share:.1f}")
    assert "not prunable are pair.weight (512), mixing (24)" in text
    assert warning.filename == __file__


def test_whole_layers_are_named_where_filters_go() -> None:
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.shuffle, self.two = (
                nn.Conv2d(3, 8, 3),
                nn.PixelShuffle(2),
                nn.Conv2d(2, 6, 3),
            )
            self.head = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.two(self.shuffle(self.one(x))).relu().mean((2, 3)))

    batches = [(torch.randn(2, 3, 9, 9), torch.zeros(2, dtype=torch.long))]
    with pytest.warns(UserWarning, match=r"keep all of their filters: one\.weight \("):
        prunebench.prune(Shuffled(), "l1-filter", 0.2, batches=batches)


def test_nothing_is_said_of_little() -> None:
    model = nn.Sequential(nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3))
    model.register_parameter("mixing", nn.Parameter(torch.randn(2, 4)))
    layers = sort_layers(model)
    assert left_out(model, layers) == {"mixing": 8}
    assert said(model, layers) == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prunebench.prune(model, "magnitude", 0.5)
