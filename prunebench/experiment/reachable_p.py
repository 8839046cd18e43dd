"""Tell before a run how small a p its plan can reach, and how many seeds its family needs."""

from __future__ import annotations

from dataclasses import dataclass

from prunebench.experiment.settings import Experiment, Regime
from prunebench.text.numbers import plural


def smallest_p(units: int) -> float:
    """Return the smallest two-sided p that a sign-flip test of n ``units`` can reach: 2^(1−n)."""
    return min(1.0, 2.0 ** (1 - units))


def units_needed(family: int, alpha: float) -> int:
    """Return how many units a ``family`` of tests needs to reach ``alpha`` after Holm."""
    units = 1
    while smallest_p(units) * max(1, family) > alpha:
        units += 1
    return units


@dataclass(frozen=True)
class Reach:
    """What the sign-flip test of a plan can show.

    A unit is a (task, model, seed), its regimes together; where a regime of a task draws wrong
    labels or samples by the seed, which all models then share, it is a (task, seed).
    """

    seeds: int
    units_of_seed: int
    family: int  # methods that Holm adjusts for
    declared: bool  # by analysis.primary; else all that are no controls
    alpha: float

    @classmethod
    def of(cls, experiment: Experiment) -> Reach:
        """Return the reach of an experiment's plan."""
        primary = experiment.analysis.primary
        candidates = [method.name for method in experiment.methods if not method.control]
        models = 1 if any(map(_draws, experiment.regimes)) else len(experiment.models)
        return cls(
            len(experiment.seeds), len(experiment.tasks) * models,
            max(1, len(primary or candidates)), bool(primary), experiment.analysis.alpha,
        )  # fmt: skip

    @property
    def units(self) -> int:
        """How many units the test stands on."""
        return self.seeds * self.units_of_seed

    @property
    def least(self) -> float:
        """The smallest p of a single comparison."""
        return smallest_p(self.units)

    @property
    def decides(self) -> bool:
        """Whether the smallest p, after Holm over the family, is at most alpha."""
        return self.least * self.family <= self.alpha

    @property
    def seeds_needed(self) -> int:
        """How many seeds the family needs."""
        return -(-units_needed(self.family, self.alpha) // self.units_of_seed)

    def said(self) -> str:
        """Return the smallest p in a sentence, with a caution where it decides nothing."""
        which = "declared methods" if self.declared else "methods that are no controls"
        known = f"{plural(self.units, 'independent unit')}, {plural(self.seeds, 'seed')}"
        text = f"smallest p that this plan can reach: {self.least:.2g} ({known})"
        if self.family > 1:
            after = min(1.0, self.least * self.family)
            text += f", {after:.2g} after Holm over the {self.family} {which}"
        if self.decides:
            return text
        fewer = (
            "" if self.declared or self.family == 1 else ", fewer with a declared analysis.primary"
        )
        return (
            f"{text}\ncaution: no difference can be significant at alpha {self.alpha:g}:"
            f" {plural(self.seeds_needed, 'seed')} are needed{fewer}"
        )


def _draws(regime: Regime) -> bool:
    """Return whether what a regime trains on is drawn by the seed."""
    part = regime.train_samples is not None or regime.train_fraction < 1
    return regime.label_noise > 0 or part
