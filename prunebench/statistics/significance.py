"""The exact sign-flip test over seeds, Holm's correction, and the verdict in words."""

from __future__ import annotations

import math

import numpy as np

from prunebench.statistics.bootstrap import Floats

ALPHA = 0.05
EXACT_UP_TO = 16  # seeds; above it the 2^n sign patterns are sampled
SAMPLED = 100_000


def smallest_p(seeds: int) -> float:
    """The smallest two-sided p that a sign-flip test with ``seeds`` seeds can reach: 2^(1−n)."""
    return min(1.0, 2.0 ** (1 - seeds))


def sign_flip(differences: Floats) -> Floats:
    """Two-sided p of each column of ``differences`` (seeds × methods), or of one vector.

    Under the null a seed's difference is as likely positive as negative (Fisher 1935, §21): p is
    the share of the 2^n sign patterns whose sum is at least as far from zero as the observed one.
    Exact up to EXACT_UP_TO seeds, above it 100,000 seeded random patterns and the observed.
    Without seeds, and for a column with NaN, p is NaN.
    """
    table = np.asarray(differences, dtype=float)
    columns = table[:, None] if table.ndim == 1 else table
    n, width = columns.shape
    if n == 0:
        p = np.full(width, np.nan)
    else:
        sums = np.abs(_patterns(n) @ columns)
        # equal in exact arithmetic must count as equal here
        slack = 1e-9 * np.maximum(np.abs(columns).sum(axis=0), 1e-300)
        p = (sums >= np.abs(columns.sum(axis=0)) - slack).mean(axis=0)
        p = np.where(np.isnan(columns).any(axis=0), np.nan, p)
    return p[0] if table.ndim == 1 else p


def _patterns(n: int) -> Floats:
    """Sign patterns, one a row; the first is the observed one (all +1)."""
    if n <= EXACT_UP_TO:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return (1 - 2 * bits).astype(float)
    generator = np.random.default_rng(n)
    drawn = generator.choice([-1.0, 1.0], size=(SAMPLED, n))
    return np.vstack([np.ones((1, n)), drawn])


def holm(p: Floats) -> Floats:
    """Holm's step-down adjustment (Holm 1979) of a family of p-values; NaN stays out of it."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    there = np.flatnonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    steps = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * steps))
    return adjusted


def signed_rank(differences: Floats) -> tuple[float, float]:
    """Two-sided p of Wilcoxon's signed-rank test (Wilcoxon 1945), and the sum of signed ranks.

    ``differences``: (tasks,), no NaN. Zeros are ranked and then dropped (Pratt 1959). scipy's
    choice of method: exact up to 50 without ties or zeros, up to 13 with them, else the normal
    approximation.
    """
    from scipy import stats  # takes a second, and few tables have so many tasks

    values = np.asarray(differences, dtype=float).round(9)  # ties in exact arithmetic are ties
    if not values.any():
        return 1.0, 0.0
    ranks = np.sign(values) * stats.rankdata(np.abs(values))
    return float(stats.wilcoxon(values, zero_method="pratt").pvalue), float(ranks.sum())


def unable(n: int, family: int, what: str, alpha: float, unit: str = "seed") -> str:
    """Say that no p of ``n`` seeds in a ``family`` of tests can be significant; "" if it can.

    ``what``: the plural name of the family's members, ``unit``: of what repeats, for the words.
    The smallest p of the signed-rank test is that of the sign-flip test.
    """
    if smallest_p(n) > alpha:
        return f"cannot be significant with {n} {unit}{'s' if n != 1 else ''}"
    if smallest_p(n) * family > alpha:
        return f"cannot be significant with {n} {unit}s and {family} {what}"
    return ""


def p_text(p: float) -> str:
    """``p = 0.031``, or ``p < 0.001``."""
    return f"p = {p:.3f}" if not p < 0.001 else "p < 0.001"


def verdict(
    p: float, difference: float, n: int, methods: int, other: str, alpha: float, unit: str = "seed"
) -> str:
    """Say in words what a Holm-adjusted ``p`` of a family of ``methods`` tests allows to say.

    ``difference``: in points of error, negative is better than ``other``; ``n``: how many of
    ``unit`` the test stands on.
    """
    if p <= alpha:
        return f"{'better' if difference < 0 else 'worse'} than {other} ({p_text(p)})"
    if never := unable(n, methods, "methods", alpha, unit):
        return never
    return "not comparable" if math.isnan(p) else f"no difference shown ({p_text(p)})"
