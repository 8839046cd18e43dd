"""Estimate one number over seeds and settings, with interval and test, and decide what it shows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import DRAWS, SEEDS, Floats
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.sample_error import widened
from prunebench.statistics.significance import (
    ALPHA,
    SEED,
    UNIT,
    p_text,
    sign_flip,
    unable,
    unit_shares,
)
from prunebench.text.numbers import plural

LOWER, HIGHER, EQUIVALENT, UNRESOLVED = "lower", "higher", "equivalent", "unresolved"


@dataclass(frozen=True)
class Estimate:
    """A mean over settings, in the unit of its values; NaN is unknown."""

    value: float
    low: float  # ends of the 95 % interval
    high: float
    p: float  # two-sided, exact sign-flip over independent units, unadjusted
    seeds: int  # that take part
    settings: int
    units: int  # that take part in the test, see ``unit_shares``
    interval_over: str = SEEDS  # or "seeds and tasks"
    sample_error: float = 0.0  # standard error over test samples, in none of the ends

    @property
    def unit(self) -> str:
        """What the test counts, in words: seeds, where there is one setting's worth of them."""
        return SEED if self.units == self.seeds else UNIT


def estimate(
    values: pd.DataFrame,
    column: str = "value",
    draws: int = DRAWS,
    shared: Collection[tuple[str, str]] = (),
) -> Estimate:
    """Estimate the mean of ``column``: seeds averaged within a setting, settings weighted equally.

    The interval is the paired, stretched bootstrap of ``score``, with the same draws; NaN where a
    setting has a single seed. The test flips independent units (``unit_shares``). The order of rows
    changes nothing.

    Args:
        values: A row per task, regime, model and seed; NaN is a hole.
        column: The numbers to average.
        draws: Of the bootstrap.
        shared: The (task, regime) whose random draws all models share, as ``shared_draws`` finds
            them.

    Raises:
        PrunebenchError: A column is missing, a row is there twice, or a value is infinite.
    """
    missing = [name for name in (*SETTING, "seed", column) if name not in values.columns]
    if missing:
        raise PrunebenchError(f"an estimate needs the column(s) {', '.join(missing)}")
    if np.isinf(values[column].to_numpy(float)).any():
        raise PrunebenchError(f"{column} must be finite")
    names, seeds, numbers = [], [], []
    for setting, own_seeds, array in _by_setting(values, column):
        if not np.isnan(array).all():
            names.append(setting)
            seeds.append(own_seeds)
            numbers.append(array)
    if not names:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0, 0)
    found = bootstrap.mean_over_settings(
        names,
        [array[None] for array in numbers],
        [_moved(name, array, draws) for name, array in zip(names, numbers, strict=True)],
    )
    shares = unit_shares(names, seeds, numbers, shared)
    there = [own[~np.isnan(each)] for own, each in zip(seeds, numbers, strict=True)]
    low, high = (float(end) for end in found.ends[:, 0])
    return Estimate(
        float(found.point[0]), low, high, float(sign_flip(shares)),
        len(np.unique(np.concatenate(there))), len(names), len(shares), found.over[0],
    )  # fmt: skip


def _by_setting(
    values: pd.DataFrame, column: str
) -> Iterator[tuple[bootstrap.Setting, NDArray[np.int_], Floats]]:
    """Yield each setting with its seeds and numbers, in order.

    A report asks for thousands of estimates of a few rows each: to sort and group them in pandas
    takes ten times as long as the estimate itself.
    """
    seeds, numbers = values["seed"].to_numpy(), values[column].to_numpy(float)
    settings = list(zip(*(map(str, values[axis].tolist()) for axis in SETTING), strict=True))
    keys = list(zip(settings, seeds.tolist(), strict=True))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for one, two in pairwise(order):
        if keys[one] == keys[two]:
            twice = "/".join(map(str, (*settings[one], seeds[one])))
            raise PrunebenchError(f"{twice}: more than one {column} of a seed")
    for (task, regime, model), rows in groupby(order, key=settings.__getitem__):
        places = list(rows)
        yield (task, regime, model), seeds[places], numbers[places]


def _moved(setting: tuple[str, ...], values: Floats, draws: int) -> Floats:
    weights = bootstrap.resampling_weights("/".join(setting), len(values), draws)
    return bootstrap.deviations(weights, values[None])


def decide(found: Estimate, margin: float, p: float | None = None, alpha: float = ALPHA) -> str:
    """Decide whether an estimate is LOWER than 0, HIGHER, EQUIVALENT or UNRESOLVED.

    EQUIVALENT, whatever the test says, where the whole interval, widened by the error of the test
    samples, lies inside the region of practical equivalence, ends included. LOWER and HIGHER need
    both ``p`` and an interval without 0.

    Args:
        found: The estimate.
        margin: The region of practical equivalence is ±margin, in the value's unit.
        p: Holm-adjusted where there is a family; default: the estimate's own.
        alpha: The largest p that shows a difference.

    Raises:
        PrunebenchError: The margin is negative or no number.
    """
    ends = widened(found.value, found.low, found.high, found.sample_error)
    return decide_interval(found.low, found.high, found.p if p is None else p, margin, alpha, ends)


def decide_interval(
    low: float,
    high: float,
    p: float,
    margin: float,
    alpha: float,
    wide: tuple[float, float] | None = None,
) -> str:
    """Decide as ``decide`` does, given the ends of an interval and a p; NaN decides nothing.

    Args:
        low: The lower end of the interval over seeds.
        high: The upper one.
        p: Of the test.
        margin: Of practical equivalence.
        alpha: The level.
        wide: The ends with the error of the test samples, by which equivalence is decided; default:
            those over seeds.

    Raises:
        PrunebenchError: The margin is negative or no number.
    """
    if not margin >= 0:
        raise PrunebenchError(f"the region of equivalence must be 0 or wider, found {margin}")
    lowest, highest = wide or (low, high)
    if -margin <= lowest and highest <= margin:
        return EQUIVALENT
    if p <= alpha and high < 0:
        return LOWER
    if p <= alpha and low > 0:
        return HIGHER
    return UNRESOLVED


def in_words(
    found: Estimate,
    margin: float,
    unit: str = "points",
    p: float | None = None,
    family: int = 1,
    alpha: float = ALPHA,
) -> str:
    """Return value, interval, verdict, p and seeds as a phrase.

    For example ``−1.20 points [−1.90, −0.50], lower (p = 0.031, 6 seeds)``.

    Args:
        found: The estimate.
        margin: Of practical equivalence, see ``decide``.
        unit: Written behind the value.
        p: The Holm-adjusted p; default: the estimate's own.
        family: How many tests it was adjusted for.
        alpha: The level.

    Raises:
        PrunebenchError: The margin is negative or no number.
    """
    if math.isnan(found.value):
        return "not measured"
    p = found.p if p is None else p
    ends = f" [{_signed(found.low)}, {_signed(found.high)}]" if not math.isnan(found.low) else ""
    number = " ".join([_signed(found.value), *([unit] if unit else [])])
    said = decide(found, margin, p, alpha)
    seeds = plural(found.units, found.unit)
    if said == EQUIVALENT:
        words = f"equivalent (inside ±{margin:g}, {seeds})"
    elif said == UNRESOLVED:
        # p above alpha with too few seeds says nothing about the difference
        never = (
            unable(found.units, family, "comparisons", alpha, found.unit) if not p <= alpha else ""
        )
        words = never or f"no difference shown ({p_text(p)}, {seeds})"
    else:
        words = f"{said} ({p_text(p)}, {seeds})"
    return f"{number}{ends}, {words}"


def _signed(value: float) -> str:
    """Return two digits after the point, or two significant ones where those would be zeros."""
    text = f"{value:+.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:+.2g}"
    return text.replace("-", "−") if text.strip("+-0.") else text.lstrip("+-")
