"""A budget of weights, MACs or measured time, and the sparsity at which a network meets it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from prunebench.compression.smallest_network import smallest
from prunebench.compression.timing import measure_speed, runner
from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.settings import SCORING, Method, Prunable
from prunebench.pruning.api import prune
from prunebench.pruning.held_networks import copied
from prunebench.pruning.macs import macs
from prunebench.report.compressed import UNITS
from prunebench.text.numbers import percent

LARGEST = 0.98  # sparsity that is looked at
STEPS = 9  # halvings of the range of sparsities: to 0.002
DIGITS = 4  # of a sparsity
REPEATS = 15  # passes behind each measured time


@dataclass(frozen=True)
class Budget:
    """A share of a network's weights, MACs or time that it may keep, in (0, 1)."""

    unit: str
    share: float

    @classmethod
    def read(cls, value: str | Mapping[str, float] | Budget) -> Budget:
        """Return the budget in ``macs=0.5`` or ``{"macs": 0.5}``.

        Raises:
            PrunebenchError: the unit is unknown, or the share is no number between 0 and 1.
        """
        if isinstance(value, Budget):
            return value
        pairs: list[Any] = list(value.items()) if isinstance(value, Mapping) else [value.split("=")]
        if len(pairs) != 1 or len(pairs[0]) != 2:
            raise PrunebenchError(f"budget {value!r}: must be {_FORM}")
        unit, given = str(pairs[0][0]).strip(), pairs[0][1]
        if unit not in UNITS:
            raise PrunebenchError(f"budget: no unit {unit!r}{suggest(unit, UNITS)}")
        try:
            share = float(given)
        except (TypeError, ValueError):
            share = math.nan
        if not 0 < share < 1:
            raise PrunebenchError(
                f"budget: {unit}={given}: must be the share that is kept, between 0 and 1"
            )
        return cls(unit, share)

    def __str__(self) -> str:
        """Return it as it is written: ``macs=0.5``."""
        return f"{self.unit}={self.share:g}"


_FORM = f"{'|'.join(UNITS)}=<share kept>, e.g. macs=0.5"


def sparsity_at(kept: Callable[[float], float], share: float) -> float | None:
    """Return the smallest sparsity at which a share is met, by bisection; None: not up to LARGEST.

    Args:
        kept: the share that a sparsity keeps; it falls.
        share: to be met.
    """
    if kept(LARGEST) > share:
        return None
    low, high = 0.0, LARGEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if kept(middle) <= share else (middle, high)
    return min(math.ceil(high * 10**DIGITS) / 10**DIGITS, LARGEST)


@dataclass
class Shares:
    """Shares that a network keeps after one method, shrunk, of its MACs or of its time."""

    network: nn.Module
    method: Method
    prunable: Prunable
    example: Tensor  # inputs as the network takes them, two or more
    batches: list[tuple[Tensor, Tensor]]
    threads: int = 1

    def kept(self, unit: str, sparsity: float) -> float:
        """Return the share of a unit that the shrunk network keeps at a sparsity.

        Raises:
            PrunebenchError: the method cannot prune this network, or nothing of it can be removed.
        """
        model = copied(self.network)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pipeline's check says what is not prunable
            masks = prune(
                model, _parts(self.method), sparsity, batches=self.batches,
                prunable=self.prunable.model_dump(), example=self.example,
            )  # fmt: skip
        found = smallest(model.eval(), masks, self.example)
        if found.kind != "shrunk":
            raise PrunebenchError(
                f"budget: {unit}: {self.method.name} saves no {UNITS[unit]}: {found.reason}"
            )
        return _COUNTED[unit](self, found.model)

    def _macs(self, smaller: nn.Module) -> float:
        left, whole = (macs(net, self.example[:1], {})[0] for net in (smaller, self.network))
        return left / whole

    def _latency(self, smaller: nn.Module) -> float:
        image = self.example[:1]
        runners = {
            name: runner("eager", network, image, self.threads)
            for name, network in (("dense", self.network), ("smaller", smaller))
        }
        speeds = measure_speed(runners, image, 1, self.threads, REPEATS, 3)
        return speeds["smaller"].median_ms / speeds["dense"].median_ms


_COUNTED: dict[str, Callable[[Shares, nn.Module], float]] = {
    "macs": Shares._macs,
    "latency": Shares._latency,
}


def _parts(method: Method) -> dict[str, object]:
    return {
        kind: {"name": part.name, **part.parameters}
        for kind in SCORING
        for part in [getattr(method, kind)]
    }


def _what_would_help(budget: Budget, shares: Shares) -> str:
    """Return what brings a budget within reach that is not."""
    excluded = shares.prunable.exclude
    other = "ask for a larger share, or name another method first in --methods"
    if not excluded:
        return other
    free = replace(shares, prunable=shares.prunable.model_copy(update={"exclude": []}))
    without = free.kept(budget.unit, LARGEST)
    named = shown(",".join(excluded))
    if without > budget.share:
        return f"without --exclude {named} it would keep {percent(without)}: {other}"
    return (
        f"--exclude {named} is why: what a skip connection joins to these layers stays whole as"
        f" well. Without it {percent(without)} would be left: exclude fewer layers, or {other}"
    )


def sparsities_of(budget: Budget, shares: Shares) -> list[float]:
    """Return sparsities at which a method meets a budget, and around it, for a curve.

    Args:
        budget: what may be kept.
        shares: of the network after the method.

    Raises:
        PrunebenchError: the budget is out of reach.
    """
    around = [math.sqrt(budget.share), budget.share, 0.6 * budget.share]
    if budget.unit == "weights":
        return sorted({round(1 - share, DIGITS) for share in around})

    def kept(sparsity: float) -> float:
        if sparsity not in known:
            known[sparsity] = shares.kept(budget.unit, sparsity)
        return known[sparsity]

    known: dict[float, float] = {}
    found = [sparsity_at(kept, share) for share in around]
    if found[1] is None:
        raise PrunebenchError(
            f"budget {budget}: out of reach of {shares.method.name}: at sparsity {LARGEST:g} it"
            f" still keeps {percent(kept(LARGEST))} of the {UNITS[budget.unit]};"
            f" {_what_would_help(budget, shares)}"
        )
    return sorted({sparsity for sparsity in found if sparsity})
