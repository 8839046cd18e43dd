"""Test differences over independent units and over tasks, adjust p-values, and word the result."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prunebench.experiment.reachable_p import smallest_p
from prunebench.statistics.bootstrap import Floats
from prunebench.text.numbers import plural

ALPHA = 0.05
EXACT_UP_TO = 16  # units; above it the 2^n sign patterns are sampled
SAMPLED = 100_000
ROWS = 8192  # of patterns at a time, so that they stay in the processor's cache

SEED, UNIT, TASK = "seed", "independent unit", "task"  # what repeats, in words
UNPAIRED = "unpaired seed"  # of Student's t, whose p has no smallest value


def sign_flip(differences: Floats) -> Floats:
    """Return the two-sided p of a sign-flip test over independent units.

    Under the null a unit's difference is as likely positive as negative (Fisher 1935, §21): p is
    the share of the 2^n sign patterns whose sum is at least as far from zero as the observed one.
    Exact up to EXACT_UP_TO units, above it SAMPLED seeded random patterns and the observed.

    Args:
        differences: (units, methods), or (units,).

    Returns:
        (methods,), or one number; NaN without units and for a column with NaN.
    """
    # scipy.stats.permutation_test gives the same p, one column at a time and much more slowly
    table = np.asarray(differences, dtype=float)
    columns = table[:, None] if table.ndim == 1 else table
    n, width = columns.shape
    if n == 0:
        p = np.full(width, np.nan)
    else:
        patterns = _patterns(n)
        blocks = np.split(patterns, range(ROWS, len(patterns), ROWS))
        sums = np.abs(np.concatenate([block.astype(float) @ columns for block in blocks]))
        # equal in exact arithmetic must count as equal here
        slack = 1e-9 * np.maximum(np.abs(columns).sum(axis=0), 1e-300)
        p = (sums >= np.abs(columns.sum(axis=0)) - slack).mean(axis=0)
        p = np.where(np.isnan(columns).any(axis=0), np.nan, p)
    return p[0] if table.ndim == 1 else p


def unit_shares(
    settings: Sequence[Sequence[str]],
    seeds: Sequence[NDArray[np.int_]],
    values: Sequence[Floats],
    shared: Collection[tuple[str, str]] = (),
) -> Floats:
    """Return how much each independent unit adds to the mean over settings; they sum to that mean.

    These are the differences to test by ``sign_flip``. A unit is what repeats independently: one
    (task, model, seed), with all its regimes, since runs of another model or task share nothing but
    the seed's number. Where models share the random draws of a regime (which labels are wrong,
    which samples are there: these depend on task and seed alone), the models of a task and seed are
    one unit: a gain that differs from draw to draw would else be counted once for each model.

    Args:
        settings: The names of each setting: task, regime, model.
        seeds: The seeds of each setting, (seeds,).
        values: Their values, (seeds,); NaN is a hole.
        shared: The (task, regime) whose draws all models share.

    Returns:
        (units that have a value in any setting,)
    """
    there = [~np.isnan(each) for each in values]
    count = sum(bool(each.any()) for each in there)
    used = [setting for setting, inside in zip(settings, there, strict=True) if inside.any()]
    merged = {task for task, regime, _ in used if (task, regime) in shared}
    found: dict[tuple[str, str, int], float] = {}
    for (task, _, model), names, each, inside in zip(settings, seeds, values, there, strict=True):
        for seed, value in zip(names[inside], each[inside], strict=True):
            unit = (task, "" if task in merged else model, int(seed))
            found[unit] = found.get(unit, 0.0) + value / (count * inside.sum())
    return np.array([found[unit] for unit in sorted(found)], dtype=float)


@lru_cache(maxsize=4)  # a table asks for the same ones of thousands of methods and choices
def _patterns(n: int) -> NDArray[np.int8]:
    """Return sign patterns, one a row; the first is the observed one (all +1)."""
    if n <= EXACT_UP_TO:
        found = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        drawn = np.random.default_rng(n).choice([-1.0, 1.0], size=(SAMPLED, n))
        found = np.vstack([np.ones((1, n)), drawn])
    patterns = found.astype(np.int8)
    patterns.setflags(write=False)
    return patterns


def holm(p: Floats) -> Floats:
    """Adjust a family of p-values by Holm's step-down method (Holm 1979); NaN stays out of it."""
    # scipy has no Holm, and statsmodels would be installed for these lines alone
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    there = np.flatnonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    steps = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * steps))
    return adjusted


def signed_rank(differences: Floats) -> tuple[float, float]:
    """Test over tasks by Wilcoxon's signed ranks (Wilcoxon 1945).

    Zeros are ranked and then dropped (Pratt 1959). scipy chooses the method: exact up to 50 tasks
    without ties or zeros, up to 13 with them, else the normal approximation.

    Args:
        differences: (tasks,), no NaN.

    Returns:
        The two-sided p, and the sum of the signed ranks.
    """
    from scipy import stats  # takes a second, and few tables have so many tasks

    values = np.asarray(differences, dtype=float).round(9)  # ties in exact arithmetic are ties
    if not values.any():
        return 1.0, 0.0
    ranks = np.sign(values) * stats.rankdata(np.abs(values))
    return float(stats.wilcoxon(values, zero_method="pratt").pvalue), float(ranks.sum())


def unable(n: int, family: int, what: str, alpha: float, unit: str = SEED) -> str:
    """Say that no p of ``n`` units in a ``family`` of tests can be significant; "" if it can.

    The smallest p of the signed-rank test is that of the sign-flip test.

    Args:
        n: How many units the test stands on.
        family: How many tests the p is adjusted for.
        what: The plural name of the family's members, for the words.
        alpha: The level.
        unit: SEED, UNIT or TASK.
    """
    if smallest_p(n) > alpha:
        return f"cannot be significant with {plural(n, unit)}"
    if smallest_p(n) * family > alpha:
        return f"cannot be significant with {n} {unit}s and {family} {what}"
    return ""


def p_text(p: float) -> str:
    """Return ``p = 0.031``, or ``p < 0.001``."""
    return f"p = {p:.3f}" if not p < 0.001 else "p < 0.001"


def verdict(
    p: float, difference: float, n: int, methods: int, other: str, alpha: float, unit: str = SEED
) -> str:
    """Put a test into words: better or worse than ``other``, no difference shown, or not testable.

    Args:
        p: Holm-adjusted.
        difference: In points of error; negative is better than ``other``.
        n: How many of ``unit`` the test stands on.
        methods: The size of the family that p is adjusted for.
        other: The name of the method compared with.
        alpha: The level.
        unit: SEED, UNIT, TASK or UNPAIRED.
    """
    if p <= alpha:
        return f"{'better' if difference < 0 else 'worse'} than {other} ({p_text(p)})"
    if unit != UNPAIRED and (never := unable(n, methods, "methods", alpha, unit)):
        return never
    return "not comparable" if math.isnan(p) else f"no difference shown ({p_text(p)})"
