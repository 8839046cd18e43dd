"""Stopwatch: how long a network takes under several masks, each in its smallest form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from prunebench.compression.smallest_network import smallest
from prunebench.compression.timing import measure_speed, runner
from prunebench.pruning.held_networks import copied
from prunebench.pruning.masks import Masks, apply


@dataclass(frozen=True)
class SmallestForms:
    """Times networks as the column ``latency_ms`` does: without what their masks make useless."""

    images: Tensor  # normalized [B, ...], on which a smaller network is verified
    engine: str
    batch: int  # copies of an image that are timed
    threads: int
    repeats: int
    warm_up: int
    round_to: int = 1  # channels are kept at a multiple of it

    def __call__(self, model: nn.Module, candidates: Mapping[str, Masks]) -> dict[str, float]:
        """Return the median milliseconds of a batch, by name, measured in turns.

        Args:
            model: the network; it is not changed.
            candidates: name -> masks, True is kept; without any it is the network as it is.

        Raises:
            Refused: the engine does not work on this model or this machine.
        """
        image = self.images[:1]
        example = image.repeat(self.batch, *(1 for _ in image.shape[1:]))
        runners = {}
        for name, masks in candidates.items():
            masked = copied(model).eval()
            apply(masked, masks)
            smaller = smallest(masked, masks, self.images, self.round_to).model
            runners[name] = runner(self.engine, smaller, example, self.threads)
        found = measure_speed(runners, image, self.batch, self.threads, self.repeats, self.warm_up)
        return {name: speed.median_ms for name, speed in found.items()}
