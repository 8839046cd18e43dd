"""Bootstrap over seeds within a setting: one draw for all methods, stretched for few seeds."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

LEVEL = 0.95
DRAWS = 10_000
ENTROPY = 2020  # of every draw, with the name of what is resampled
Floats = NDArray[np.float64]


@lru_cache(maxsize=64)  # a report asks for the same draws hundreds of times
def resampling(name: str, n: int, draws: int) -> Floats:
    """Weights (draws, n) of n things (a setting's seeds, or tasks) resampled; rows sum to 1.

    The generator is seeded from ``name``, so that a setting's draws stay the same whatever other
    settings and methods are in the table.
    """
    generator = np.random.default_rng([ENTROPY, zlib.crc32(name.encode())])
    counts = generator.multinomial(n, np.full(n, 1 / n), size=draws)
    weights: Floats = counts / n
    weights.setflags(write=False)
    return weights


def quotient(above: Floats, below: Floats | NDArray[np.int_]) -> Floats:
    """``above / below``, NaN without a warning where ``below`` is not positive."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def weighted_mean(weights: Floats, values: Floats) -> Floats:
    """Means over seeds (axis 0 of ``values``) for each row of weights; holes get no weight.

    Shapes (draws, seeds) and (seeds, n) give (draws, n); NaN where a draw holds holes only.
    """
    there = ~np.isnan(values)
    if there.all():
        return weights @ values
    total = weights @ there.astype(float)
    summed = weights @ np.where(there, values, 0.0)
    return quotient(summed, total)


def deviations(weights: Floats, per_seed: Floats) -> Floats:
    """Resampled means minus the mean, (draws, methods), of ``per_seed`` (methods, seeds).

    Multiplied by sqrt(n/(n − 1)): resampling n values has a variance too small by (n − 1)/n.
    """
    values = per_seed.T
    return (weighted_mean(weights, values) - mean_or_nan(values, 0)) * variance_factor(per_seed)


def variance_factor(per_seed: Floats) -> Floats:
    """sqrt(n/(n − 1)) for each method, NaN for fewer than two seeds; (methods, seeds) in."""
    n = (~np.isnan(per_seed)).sum(axis=1).astype(float)
    root: Floats = np.sqrt(quotient(n, n - 1))
    return root


def mean_or_nan(values: Floats, axis: int) -> Floats:
    """Mean without the NaN; NaN, and no warning, where there is nothing else."""
    there = ~np.isnan(values)
    return quotient(np.where(there, values, 0.0).sum(axis=axis), there.sum(axis=axis))


def variance_of_mean(per_seed: Floats) -> tuple[Floats, Floats]:
    """Squared standard error of the mean over seeds, and n − 1, per method."""
    n = (~np.isnan(per_seed)).sum(axis=1).astype(float)
    free = np.where(n > 1, n - 1, np.nan)
    squares = (per_seed - mean_or_nan(per_seed, 1)[:, None]) ** 2
    return np.nansum(squares, axis=1) / free / n.clip(min=1), free


def stretch(variances: Floats, free: Floats) -> Floats:
    """How much wider than normal an interval must be: t/z with Welch–Satterthwaite freedom.

    Both (settings, methods); settings that a method lacks are NaN in both. The bootstrap of 3
    values knows nothing of the uncertainty of their spread and covers far too rarely; this is
    the expanded interval of Hesterberg 2015 (The American Statistician 69, §5.3), applied to the
    deviations, since few values have no quantiles further out.
    """
    total = np.nansum(variances, axis=0)
    parts = np.nansum(variances**2 / free, axis=0)
    freedom = np.divide(total**2, parts, out=np.full(total.shape, np.inf), where=parts > 0)
    return student(freedom)


def student(freedom: Floats) -> Floats:
    """How much further out than the normal's are the ends of Student's t: t/z, same shape."""
    upper = (1 + LEVEL) / 2
    wider: Floats = stdtrit(np.minimum(freedom, 1e6), upper) / ndtri(upper)
    return wider


def interval(point: Floats, moved: Floats, wider: Floats) -> Floats:
    """Ends (2, methods) of the interval around ``point`` from deviations (draws, methods)."""
    tail = (1 - LEVEL) / 2
    ends = np.full((2, len(point)), np.nan)
    for column in range(len(point)):
        drawn = moved[:, column]
        drawn = drawn[~np.isnan(drawn)]
        if len(drawn):
            ends[:, column] = point[column] + wider[column] * np.quantile(drawn, [tail, 1 - tail])
    return ends


def t_quantile(freedom: Floats) -> Floats:
    """The two-sided LEVEL quantile of Student's t; NaN below one degree of freedom."""
    free = np.asarray(freedom, dtype=float)
    return np.where(free >= 1, stdtrit(np.maximum(free, 1), (1 + LEVEL) / 2), np.nan)
