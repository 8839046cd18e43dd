"""Sensitivity: what a network loses where one layer, group or block alone is pruned to a level."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunebench.errors import Refused
from prunebench.pruning.automatic.candidates import Candidates, Levels, Quality


@dataclass(frozen=True)
class Sensitivity:
    """Quality of a network whose places were pruned one at a time, without training."""

    levels: Levels  # of each place, the first is the start
    start: Quality  # of the network where every place is at its first level
    quality: dict[str, list[Quality]]  # place -> of each of its levels
    evaluations: int  # networks that were evaluated

    def rise(self, name: str, level: int) -> float:
        """Return how much the loss rises where a place alone is at a level; inf if not finite."""
        rise = self.quality[name][level].loss - self.start.loss
        return rise if math.isfinite(rise) else math.inf


def sensitivity(candidates: Candidates, rate: float) -> Sensitivity:
    """Measure the network with each place alone at each level; once for all sparsities.

    Args:
        candidates: the networks.
        rate: the share of what is left that each level removes, in (0, 1).

    Raises:
        Refused: the loss of the network as it is is not finite.
    """
    levels = candidates.levels(rate)
    return candidates.remembered("sensitivity", levels, lambda: _measured(candidates, levels))


def _measured(candidates: Candidates, levels: Levels) -> Sensitivity:
    before = candidates.evaluations
    start = candidates.quality(candidates.start)
    if not math.isfinite(start.loss):
        raise Refused("the network's loss on the calibration data is not finite")
    quality = {
        name: [start, *(candidates.quality({**candidates.start, name: n}) for n in counts[1:])]
        for name, counts in levels.items()
    }
    return Sensitivity(levels, start, quality, candidates.evaluations - before)
