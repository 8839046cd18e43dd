"""Which batch norm belongs to a layer, where operations in place blur it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunebench.pruning.view import View


@pytest.mark.parametrize("inplace", [False, True])
def test_a_norm_behind_an_operation_in_place_is_not_its_own(inplace: bool) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=inplace), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 10),
    )  # fmt: skip
    batches = [(torch.randn(4, 3, 8, 8), torch.zeros(4, dtype=torch.long))]
    assert View(network, batches=batches).own_norms == {}
