"""The exact sign-flip test over seeds, Holm's correction, and the verdict in words."""

from __future__ import annotations

import math

import numpy as np

from prunebench.statistics.bootstrap import Floats

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


def verdict(p: float, difference: float, seeds: int, methods: int, other: str, alpha: float) -> str:
    """Say in words what a Holm-adjusted ``p`` of a family of ``methods`` tests allows to say.

    ``difference``: in points of error, negative is better than ``other``.
    """
    if smallest_p(seeds) > alpha:
        return f"cannot be significant with {seeds} seed{'s' if seeds != 1 else ''}"
    if smallest_p(seeds) * methods > alpha:
        return f"cannot be significant with {seeds} seeds and {methods} methods"
    if math.isnan(p):
        return "not comparable"
    if p > alpha:
        return f"no difference shown (p = {p:.3f})"
    said = f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"
    return f"{'better' if difference < 0 else 'worse'} than {other} ({said})"
