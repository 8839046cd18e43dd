"""Times of modules within a pass."""

from __future__ import annotations

import time

import torch
from torch import nn

from prunebench.compression.layer_times import layer_times


class Slow(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return x


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slow, self.unused = Slow(0.004), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slow(self.slow(x))


def test_every_call_counts_and_what_is_called_inside() -> None:
    network = nn.Sequential(Twice(), Slow(0.002))
    hooks = [len(module._forward_hooks) for module in network.modules()]
    found = layer_times(network, torch.zeros(1, 2), 3, threads=1, repeats=3, warm_up=1)
    assert set(found) == {"", "0", "0.slow", "1"}
    assert found["0.slow"] >= 8
    assert found["1"] >= 2
    assert found[""] >= found["0"] + found["1"]
    assert found["0"] >= found["0.slow"]
    assert [len(module._forward_hooks) for module in network.modules()] == hooks
