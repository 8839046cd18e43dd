"""Find by measuring which multiple of channels an engine runs a network fastest with.

An engine may compute 40 channels faster than 37: its kernels work on blocks of channels, and what
does not fill one takes a slower way. A smaller network may then keep channels at zero, which
changes nothing that it computes. How large blocks are depends on engine and processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

from torch import Tensor, nn

from prunebench.compression.shrink import narrowed
from prunebench.compression.timing import Speed, measure_speed, runner

MULTIPLES = (1, 2, 4, 8, 16)
SPAN = MULTIPLES[-1]
# Counts of a block of SPAN, odd ones: rounded up to any of MULTIPLES they get as many channels more
# as the mean of all counts does, or half of one more.
UNEVEN = (5, 11)


def rounded_up(count: int, multiple: int) -> int:
    """Return the smallest multiple that is no less than a count."""
    return -(-count // multiple) * multiple


@dataclass(frozen=True)
class ChannelTimes:
    """Times of a network at neighbouring numbers of channels, and the multiple they speak for."""

    multiple: int  # 1: no multiple is faster
    speeds: Mapping[int, Speed]  # by the count above half of a layer's channels, in whole SPANs


def _kept(count: int, size: int) -> int:
    """Return the channels that a layer of some size keeps: a count above about half of them."""
    return size // 2 // SPAN * SPAN + count


def channel_times(
    model: nn.Module, image: Tensor, *, engine: str, batch: int, threads: int, repeats: int,
    warm_up: int,
) -> ChannelTimes:  # fmt: skip
    """Time a network in turns at neighbouring numbers of channels, about half of what it has.

    To be run with nothing else on the machine. Weights do not matter.

    Args:
        model: the dense network; it is not changed.
        image: an input [1, ...] on the device to run on.
        engine: the engine's name.
        batch: copies of the image that are timed.
        threads: of the processor.
        repeats: passes that count.
        warm_up: passes before those.

    Raises:
        Refused: the engine does not work on this network or this machine, or the network has no
            channels that could be removed.
    """
    counts = sorted({rounded_up(count, m) for count, m in product(UNEVEN, MULTIPLES)})
    networks = narrowed(model, image, [partial(_kept, count) for count in counts])
    example = image[:1].repeat(batch, *(1 for _ in image.shape[1:]))
    runners = {
        str(count): runner(engine, network, example, threads)
        for count, network in zip(counts, networks, strict=True)
    }
    found = measure_speed(runners, image, batch, threads, repeats, warm_up)
    speeds = {count: found[str(count)] for count in counts}
    return ChannelTimes(fastest_multiple(speeds), speeds)


def fastest_multiple(speeds: Mapping[int, Speed]) -> int:
    """Return the smallest multiple that counts are best rounded up to; 1 where none is faster.

    A multiple counts as faster where the times of UNEVEN, rounded up, are lower in their sum of
    upper quartiles than those not rounded in their sum of lower ones. Of several the smallest is
    taken that none of the others beats in the same way.

    Args:
        speeds: of UNEVEN and of all that they are rounded up to.
    """

    def total(multiple: int, quartile: Literal["low_ms", "high_ms"]) -> float:
        return sum(getattr(speeds[rounded_up(count, multiple)], quartile) for count in UNEVEN)

    def beats(one: int, other: int) -> bool:
        return total(one, "high_ms") < total(other, "low_ms")

    faster = [multiple for multiple in MULTIPLES if beats(multiple, 1)]
    return next((m for m in faster if not any(beats(other, m) for other in faster)), 1)
