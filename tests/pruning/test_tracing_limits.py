"""Channels that a graph follows without end: tracing stops, and says what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.shrink import shrink
from prunebench.errors import Refused
from prunebench.pruning import tracing
from tests.compression.nets import exactly, images, liven
from tests.pruning.couplings import FILTERS, found


class Runaway(nn.Module):
    """Moves the batch into the channels, which the graph follows without end."""

    def __init__(self, depth: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        batch, *shape = x.shape
        for layer in self.layers:
            x = x + layer(x).reshape(1, -1, *shape[1:]).reshape(batch, *shape)
        return self.head(x.mean((2, 3)))


@pytest.mark.filterwarnings("ignore:Runaway cannot be traced for its classifier")
def test_tracing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Runaway()
    data = [(images(4, size=16), torch.zeros(4, dtype=torch.long))]
    monkeypatch.setattr(tracing, "MOST_CHANNELS", 15)
    with pytest.raises(Refused, match=r"no channels .*multiplies its channels to more than 15"):
        prunebench.prune(model, FILTERS, 0.5, batches=data)
    assert (
        "multiplies its channels to more than 15" in shrink(model, {}, images(1, size=16)).notes[0]
    )
    monkeypatch.undo()
    monkeypatch.setattr(tracing, "MOST_STEPS", 50)
    with pytest.raises(Refused, match=r"cannot be traced.*takes more than 50 steps"):
        found(model)
    with pytest.raises(Refused, match=r"cannot shrink.*more than 50 steps; the masks still hold"):
        shrink(model, {}, images(1, size=16))


def test_a_list_that_would_be_too_long_is_never_made() -> None:
    made = []

    def repeated(indices: list[int]) -> list[int]:
        made.append(len(indices))
        return [one for one in indices for _ in range(tracing.MOST_CHANNELS // 2)]

    first, second, _ = tracing._Counted([repeated, None], lambda indices: indices)
    assert second is None
    assert len(first([7, 8])) == tracing.MOST_CHANNELS
    made.clear()
    with pytest.raises(RuntimeError, match="more than 200,000"):
        first([7, 8, 9])
    assert made == [1]


class Beside(nn.Module):
    """Two plain convolutions, then one that moves the batch into its channels and back."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 12, 3), nn.Conv2d(12, 16, 3)
        self.runs = nn.Conv2d(16, 24, 3, padding=1)
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x).relu()).relu()
        x = self.runs(x)
        batch, *shape = x.shape
        x = x.reshape(1, -1, *shape[1:]).reshape(batch, *shape)
        return self.head(x.mean((2, 3)))


@pytest.mark.filterwarnings("ignore:Beside cannot be traced for its classifier")
def test_a_layer_that_cannot_be_followed_stays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = liven(Beside())
    monkeypatch.setattr(tracing, "MOST_CHANNELS", 20)
    coupling = found(model)
    assert {group.name for group in coupling.groups} == {"one.weight", "two.weight"}
    assert "cannot be followed: a reshape multiplies" in coupling.whole["runs.weight"]
    data = [(images(4, size=16), torch.zeros(4, dtype=torch.long))]
    with pytest.warns(UserWarning, match=r"keep all of their filters: runs\.weight"):
        masks = prunebench.prune(model, FILTERS, 0.2, batches=data)
    assert masks["runs.weight"].flatten(1).any(1).all()
    assert not masks["one.weight"].flatten(1).any(1).all()
    exactly(model, masks, images(4, size=16))


def test_steps_in_vain_count_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_CHANNELS", 20)
    assert len(tracing.trace(Beside(), images(2, size=16)).lost) == 1
    monkeypatch.setattr(tracing, "_LOST", tracing.MOST_STEPS)
    _, *others = tracing.trace(Beside(), images(2, size=16)).lost.values()
    assert len(others) == 2
    assert all("more than 50,000,000 steps" in reason for reason in others)
