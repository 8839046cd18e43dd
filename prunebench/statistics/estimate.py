"""One number over seeds and settings, with its interval, its test and what it allows to say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import DRAWS, Floats
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.pooled import SEEDS, pool, seed_shares
from prunebench.statistics.significance import ALPHA, p_text, sign_flip, unable

LOWER, HIGHER, EQUIVALENT, UNRESOLVED = "lower", "higher", "equivalent", "unresolved"


@dataclass(frozen=True)
class Estimate:
    """A mean over settings, in the unit of its values; NaN is not known."""

    value: float
    low: float  # ends of the 95 % interval
    high: float
    p: float  # two-sided, exact sign-flip over seeds, unadjusted
    seeds: int  # that take part in the test
    settings: int
    interval_over: str = SEEDS  # or "seeds and tasks"


def estimate(values: pd.DataFrame, column: str = "value", draws: int = DRAWS) -> Estimate:
    """Estimate the mean of ``column``: seeds averaged within a setting, settings weighted equally.

    ``values``: a row per task, regime, model and seed; NaN is a hole. The interval is the paired,
    stretched bootstrap of ``score``, with the same draws; NaN where a setting has a single seed.
    The test flips a seed's sign in all settings at once. The order of rows changes nothing.
    Raises PrunebenchError for a missing column, a row twice, and a value that is not finite.
    """
    key = [*SETTING, "seed"]
    missing = [name for name in (*key, column) if name not in values.columns]
    if missing:
        raise PrunebenchError(f"an estimate needs the column(s) {', '.join(missing)}")
    if values.duplicated(key).any():
        twice = values.loc[values.duplicated(key), key].iloc[0]
        raise PrunebenchError(f"{'/'.join(map(str, twice))}: more than one {column} of a seed")
    if np.isinf(values[column].to_numpy(float)).any():
        raise PrunebenchError(f"{column} must be finite")
    names, seeds, numbers = [], [], []
    for setting, rows in values.sort_values(key).groupby(SETTING, sort=True):
        array = rows[column].to_numpy(float)
        if not np.isnan(array).all():
            names.append((str(setting[0]), str(setting[1]), str(setting[2])))
            seeds.append(rows["seed"].to_numpy())
            numbers.append(array)
    if not names:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0)
    found = pool(
        names,
        [array[None] for array in numbers],
        [_moved(name, array, draws) for name, array in zip(names, numbers, strict=True)],
    )
    shares = seed_shares(seeds, numbers)
    low, high = (float(end) for end in found.ends[:, 0])
    return Estimate(
        float(found.point[0]), low, high, float(sign_flip(shares)), len(shares), len(names),
        found.over[0],
    )  # fmt: skip


def _moved(setting: tuple[str, ...], values: Floats, draws: int) -> Floats:
    weights = bootstrap.resampling("/".join(setting), len(values), draws)
    return bootstrap.deviations(weights, values[None])


def decide(found: Estimate, margin: float, p: float | None = None, alpha: float = ALPHA) -> str:
    """Say LOWER, HIGHER, EQUIVALENT or UNRESOLVED.

    EQUIVALENT, whatever the test says, where the whole interval lies inside ±``margin``, the
    region of practical equivalence, in the value's unit (ends included). LOWER and HIGHER need
    ``p`` (Holm-adjusted where there is a family; default: the estimate's own) at most ``alpha``
    and an interval without 0. Raises PrunebenchError for a margin that is negative or no number.
    """
    return judge(found.low, found.high, found.p if p is None else p, margin, alpha)


def judge(low: float, high: float, p: float, margin: float, alpha: float) -> str:
    """``decide`` for an interval and a p; NaN is not known and decides nothing."""
    if not margin >= 0:
        raise PrunebenchError(f"the region of equivalence must be 0 or wider, found {margin}")
    if -margin <= low and high <= margin:
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
    """Value, interval, verdict, p and seeds in a phrase.

    ``p`` and ``family``: the Holm-adjusted p and how many tests it was adjusted for.
    For example ``−1.20 points [−1.90, −0.50], lower (p = 0.031, 6 seeds)``.
    """
    if math.isnan(found.value):
        return "not measured"
    p = found.p if p is None else p
    ends = f" [{_signed(found.low)}, {_signed(found.high)}]" if not math.isnan(found.low) else ""
    number = " ".join([_signed(found.value), *([unit] if unit else [])])
    said = decide(found, margin, p, alpha)
    seeds = f"{found.seeds} seed{'s' if found.seeds != 1 else ''}"
    if said == EQUIVALENT:
        words = f"equivalent (inside ±{margin:g}, {seeds})"
    elif said == UNRESOLVED:
        # p above alpha with too few seeds says nothing about the difference
        never = unable(found.seeds, family, "comparisons", alpha) if not p <= alpha else ""
        words = never or f"no difference shown ({p_text(p)}, {seeds})"
    else:
        words = f"{said} ({p_text(p)}, {seeds})"
    return f"{number}{ends}, {words}"


def _signed(value: float) -> str:
    """Two digits after the point, or two significant ones where those would say nothing."""
    text = f"{value:+.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:+.2g}"
    return text.replace("-", "−") if text.strip("+-0.") else text.lstrip("+-")
