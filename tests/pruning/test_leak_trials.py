"""The trial that no removed channel reaches an output, and how outputs are compared in it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.pruning.coupling import _sound, output_difference
from prunebench.pruning.groups import Group, Slice
from tests.compression.nets import images, liven
from tests.pruning.couplings import found


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_few_channels_are_tried_out_too(channels: int) -> None:
    # one channel becomes four, which the graph reads as itself and three of nobody's
    model = nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1), nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, 8, 3),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    coupled = found(liven(model))
    assert [group.name for group in coupled.groups] == ["2.weight"]
    assert "would still reach an output" in coupled.whole["0.weight"]


class Whispering(nn.Module):
    """Its first layer's mean is added to the outputs, very weakly and unseen by autograd."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.Linear(6, 5)
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        leak = self.weight * x.detach().mean()
        return self.head(self.two(x.relu()).relu().mean((2, 3))) + leak


@pytest.mark.parametrize(
    ("weight", "names"),
    [(0.0, {"one.weight", "two.weight"}), (1e-3, {"two.weight"})],
)
def test_a_weak_leak_is_a_leak(weight: float, names: set[str]) -> None:
    assert {group.name for group in found(Whispering(weight)).groups} == names


class Detector(nn.Module):
    """Rows for the places that score above a bound: as many as the values say."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.features, self.scores = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 3)
        self.body = nn.Conv2d(8, 12, 3)
        self.hidden, self.boxes = nn.Linear(12, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).relu()
        rows = self.body(x).relu().movedim(1, -1)[self.scores(x)[:, 0] > self.bound]
        return self.boxes(self.hidden(rows).relu())


@pytest.mark.parametrize("bound", [0.0, 1e9])
def test_outputs_may_be_as_many_as_the_values_say(bound: float) -> None:
    torch.manual_seed(0)
    model = Detector(bound).eval()
    assert verify(model, model, images(2, size=16)) == 0.0
    names = {group.name for group in found(model).groups}
    # where no box is found nothing shows that a channel reaches none, so all stay
    # (features stay: what chooses the rows reads them too, which no gradient shows)
    assert names == ({"body.weight", "hidden.weight"} if bound == 0 else set())


def test_boxes_that_were_not_found_leave_a_network_as_it_was() -> None:
    torch.manual_seed(0)
    model, inputs = Detector(0.0).eval(), images(2, size=16)
    batches = [(inputs, torch.zeros(2, dtype=torch.long))]
    masks = prunebench.prune(model, {"criterion": "magnitude"}, 0.5, batches=batches)
    small = shrink(model, masks, inputs[:1])
    assert verify(model, small.model, inputs) <= TOLERANCE


ONE = torch.tensor([4.0, -8.0])
NO_BOXES = torch.zeros(0, 4)


@pytest.mark.parametrize(
    ("want", "have", "difference"),
    [
        ([ONE], [ONE], 0.0),
        ([ONE], [ONE + 2], 2 / 8),
        ([ONE, ONE / 8], [ONE + 2, ONE / 8 - 1], 1.0),  # each relative to its own
        ([torch.zeros(2)], [torch.zeros(2)], 0.0),
        ([torch.zeros(2)], [ONE], math.inf),
        ([NO_BOXES, ONE], [NO_BOXES, ONE], 0.0),
        ([NO_BOXES], [torch.zeros(1, 4)], math.inf),
        ([ONE], [ONE, ONE], math.inf),
        ([ONE / 0], [ONE / 0], math.inf),
        ([ONE], [ONE * math.nan], math.inf),
        ([], [], math.inf),
    ],
)
def test_differences_of_outputs_by_hand(
    want: list[Tensor], have: list[Tensor], difference: float
) -> None:
    assert output_difference(want, have) == difference


@pytest.mark.parametrize("size", [2, 4, 6, 8, 9, 12])
def test_equal_parts_that_are_taken_for_each_other_are_seen_in_every_trial(size: int) -> None:
    """A draw of half of the channels is often the same in both halves, and would show nothing."""
    part = 3 if size == 9 else size // 2
    model = nn.Sequential(nn.Linear(3, size), nn.ReLU(), nn.Linear(size, 2))
    units = torch.arange(size)

    def group(read: Tensor) -> Group:
        made = [Slice("0.weight", 0, units, True), Slice("0.bias", 0, units, False)]
        return Group("0.weight", size, (*made, Slice("2.weight", 1, read, False, True)))

    before = {name: value.clone() for name, value in model.state_dict().items()}
    right, wrong = group(units), group(units.roll(part))
    assert _sound(model, [right], torch.randn(2, 3)) == [right]
    assert _sound(model, [wrong], torch.randn(2, 3)) == []
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
