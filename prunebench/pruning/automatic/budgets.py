"""Budgets of weights, MACs or measured time: what candidates save, and how much must be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prunebench.errors import Refused
from prunebench.pruning.automatic.candidates import Candidates, Counts, Levels

Savings = dict[str, list[float]]  # a place -> what each of its levels saves


class Resource(ABC):
    """What a network takes, of which a budget leaves a share."""

    name: ClassVar[str]
    counted = True  # exactly, not measured

    def __init__(self, candidates: Candidates, levels: Levels) -> None:
        self.candidates, self.levels = candidates, levels
        # what is saved at the start, and what each place alone saves beyond that at each level
        self.begun, self.alone = candidates.remembered(
            type(self).__name__, levels, self._one_by_one
        )

    @property
    @abstractmethod
    def whole(self) -> float:
        """What the dense network takes."""

    @abstractmethod
    def saved(self, counts: Counts) -> float:
        """Return what a candidate saves, as far as it can be told without measuring it."""

    def measured(self, counts: Counts) -> float:
        """Return what a candidate saves, measured where it must be."""
        return self.saved(counts)

    def _one_by_one(self) -> tuple[float, Savings]:
        start = self.candidates.start
        begun = self.saved(start)
        return begun, {
            name: [0.0, *(self.saved({**start, name: n}) - begun for n in own[1:])]
            for name, own in self.levels.items()
        }


class Weights(Resource):
    """Prunable weights."""

    name = "prunable weights"

    @property
    def whole(self) -> float:
        return self.candidates.all_weights

    def saved(self, counts: Counts) -> float:
        return self.candidates.weights_gone(counts)


class Macs(Resource):
    """Multiply-accumulates of one input, of the whole network."""

    name = "MACs"

    @property
    def whole(self) -> float:
        return self.candidates.all_macs

    def saved(self, counts: Counts) -> float:
        return self.candidates.macs_gone(counts)


class Latency(Resource):
    """Measured time, as a share of the dense network's.

    What a candidate saves is told by the sum of what its places save alone, between levels on
    straight lines; ``measured`` times the candidate itself.
    """

    name = "time"
    counted = False

    @property
    def whole(self) -> float:
        return 1.0

    def saved(self, counts: Counts) -> float:
        return self.begun + sum(
            float(np.interp(counts[name], own, self.alone[name]))
            for name, own in self.levels.items()
        )

    def measured(self, counts: Counts) -> float:
        return 1 - self.candidates.time_shares([counts])[0]

    def _one_by_one(self) -> tuple[float, Savings]:
        start = self.candidates.start
        begun = self.measured(start) if any(start.values()) else 0.0
        alone = {}
        for name, own in self.levels.items():
            # a place's levels take turns with each other: a network for each is in memory
            shares = self.candidates.time_shares([{**start, name: n} for n in own[1:]])
            # a smaller network is no slower: what seems so is noise
            alone[name] = [0.0, *(max(1 - begun - share, 0.0) for share in shares)]
        return begun, alone


RESOURCES: dict[str, type[Resource]] = {"weights": Weights, "macs": Macs, "latency": Latency}


class Goal:
    """How much must be saved: a budget, or the prunable weights of a target sparsity."""

    def __init__(
        self, candidates: Candidates, levels: Levels, budget: Mapping[str, float] | None,
        remove: int,
    ) -> None:  # fmt: skip
        """Set a goal.

        Args:
            candidates: the networks.
            levels: of each place.
            budget: weights, macs or latency -> the share to keep; None: ``remove`` counts.
            remove: prunable weights to remove, as nearly as whole units allow.
        """
        [(name, share)] = (budget or {"weights": 0.0}).items()
        self.resource = RESOURCES[name](candidates, levels)
        self.budget = budget
        self.needed = float(remove) if budget is None else self.resource.whole * (1 - share)

    def distance(self, counts: Counts) -> float:
        """Return how far a candidate is from the goal; inf beyond a budget, which must hold."""
        left = self.resource.saved(counts) - self.needed
        return np.inf if self.budget is not None and left < 0 else abs(left)

    def rounding(self) -> float:
        """Return how far from the goal whole units may leave it: half of what the largest saves.

        A budget must hold.
        """
        if self.budget is not None:
            return 0.0
        start, most = self.resource.candidates.start, self.resource.candidates.most
        saved = (
            self.resource.saved({**start, name: gone + 1})
            for name, gone in start.items()
            if gone < most[name]
        )
        return (max(saved, default=self.resource.begun) - self.resource.begun) / 2

    def miss(self, counts: Counts) -> float | None:
        """Return the share of the whole kept beyond the budget; None where there is no budget."""
        if self.budget is None:
            return None
        return (self.needed - self.resource.measured(counts)) / self.resource.whole

    def refusal(self, saved: float) -> Refused:
        """Return what says that no more than ``saved`` can be saved."""
        share, wanted = saved / self.resource.whole, self.needed / self.resource.whole
        return Refused(
            f"only {share:.4f} of the {self.resource.name} can be saved, less than {wanted:.4g}"
        )
