"""The multiple of channels that is found, by clocks that are made up and so known exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from prunebench.compression import timing
from prunebench.compression.channel_counts import (
    MULTIPLES,
    UNEVEN,
    channel_times,
    fastest_multiple,
    rounded_up,
)
from prunebench.compression.shrink import narrowed
from prunebench.compression.timing import Speed
from prunebench.errors import Refused

Clock = Callable[[int], float]  # channels -> milliseconds
COUNTS = sorted({rounded_up(count, multiple) for count in UNEVEN for multiple in MULTIPLES})


def in_blocks(block: int) -> Clock:
    """An engine whose kernels compute whole blocks fast, and other counts in a slow way."""
    return lambda channels: channels * (1.0 if channels % block == 0 else 3.0)


def speeds(clock: Clock, spread: float = 0.0) -> dict[int, Speed]:
    """Times by a clock, with quartiles that lie a share of each time below and above it."""
    return {
        count: Speed(
            clock(count), clock(count) * (1 - spread), clock(count) * (1 + spread), 1.0, 1, 3, 1,
            "made up", "made up",
        )
        for count in COUNTS
    }  # fmt: skip


@pytest.mark.parametrize("block", MULTIPLES)
def test_the_block_of_an_engine_is_found(block: int) -> None:
    assert fastest_multiple(speeds(in_blocks(block))) == block


@pytest.mark.parametrize(
    "clock",
    [
        lambda channels: 0.1 * channels,
        lambda channels: 2 + 0.01 * channels**2,
        lambda channels: 5.0,
        # 16 take as long as 9: nothing is gained by having more of them
        lambda channels: float(-(-channels // 8)),
        # blocks are faster by less than what the channels cost that are added
        lambda channels: channels * (1.0 if channels % 16 == 0 else 1.05),
    ],
    ids=["in proportion", "square", "constant", "steps", "small gain"],
)
def test_where_more_channels_are_not_faster_nothing_is_rounded(clock: Clock) -> None:
    assert fastest_multiple(speeds(clock)) == 1


def test_a_gain_within_the_spread_of_times_counts_for_nothing() -> None:
    clock = in_blocks(8)  # 5 and 11 take 48, 8 and 16 take 24
    assert fastest_multiple(speeds(clock, spread=0.3)) == 8  # 31.2 < 33.6
    assert fastest_multiple(speeds(clock, spread=0.35)) == 1  # 32.4 > 31.2


def test_uneven_counts_are_rounded_by_as_much_as_all_are_on_average() -> None:
    for multiple in MULTIPLES[1:]:
        every = [rounded_up(count, multiple) - count for count in range(1, 17)]
        ours = [rounded_up(count, multiple) - count for count in UNEVEN]
        assert 0 <= sum(ours) / len(ours) - sum(every) / len(every) <= 0.5


class Two(nn.Module):
    """Two convolutions, the first of 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 24, 3, padding=1)
        self.head = nn.Linear(24, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.second(self.first(images).relu()).relu()
        return self.head(maps.mean((2, 3)))


def test_layers_get_the_channels_that_are_asked_for() -> None:
    [one, other] = narrowed(Two(), torch.randn(1, 3, 8, 8), [lambda _: 7, lambda size: size // 2])
    assert [(m.first.out_channels, m.second.out_channels) for m in (one, other)] == [
        (7, 7), (32, 12),
    ]  # fmt: skip
    assert [tuple(m.second.weight.shape) for m in (one, other)] == [(7, 7, 3, 3), (12, 32, 3, 3)]
    assert one(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_what_has_no_channels_to_remove_is_refused() -> None:
    with pytest.raises(Refused, match="no channels"):
        narrowed(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), torch.randn(1, 12), [lambda _: 3])


@pytest.mark.parametrize(("clock", "multiple"), [(in_blocks(8), 8), (float, 1)])
def test_a_network_is_timed_about_half_of_its_width(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, multiple: int
) -> None:
    seen = set()

    def timer(call: Any, given: Any) -> float:
        del given
        seen.add((call.first.out_channels, call.second.out_channels))
        return clock(call.first.out_channels)

    monkeypatch.setitem(timing.TIMERS, "cpu", timer)
    found = channel_times(
        Two(), torch.randn(1, 3, 8, 8), engine="eager", batch=2, threads=1, repeats=3, warm_up=0
    )
    # half of 64 is 32; of 24 it is less than 16, and more than all cannot be kept
    assert seen == {(32 + count, min(24, count)) for count in COUNTS}
    assert found.multiple == multiple
    assert {count: speed.median_ms for count, speed in found.speeds.items()} == {
        count: clock(32 + count) for count in COUNTS
    }
