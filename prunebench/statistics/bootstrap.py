"""Average over settings with a 95 % interval from a bootstrap over seeds, stretched for few seeds.

The same draws serve all methods, so that their intervals can be compared.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

LEVEL = 0.95
DRAWS = 10_000
ENTROPY = 2020  # of every draw, with the name of what is resampled
TASKS_RESAMPLED = 8  # tasks from which on the interval speaks of other tasks too
SEEDS, SEEDS_AND_TASKS = "seeds", "seeds and tasks"
Floats = NDArray[np.float64]
Setting = tuple[str, str, str]  # task, regime, model


@lru_cache(maxsize=64)  # a report asks for the same draws hundreds of times
def resampling_weights(name: str, n: int, draws: int) -> Floats:
    """Return weights (draws, n) of n things (a setting's seeds, or tasks) resampled; rows sum to 1.

    Args:
        name: Seeds the generator, so that a setting's draws stay the same whatever other settings
            and methods are in the table.
        n: How many things.
        draws: How many samples of them.
    """
    generator = np.random.default_rng([ENTROPY, zlib.crc32(name.encode())])
    counts = generator.multinomial(n, np.full(n, 1 / n), size=draws)
    weights: Floats = counts / n
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=64)
def distinct_draws(name: str, n: int, draws: int) -> tuple[Floats, NDArray[np.intp]]:
    """Return the distinct rows of ``resampling_weights``, and for each draw which of them it is.

    Of three seeds there are ten in thousands of draws: what follows from a row is computed once.

    Args:
        name: See ``resampling_weights``.
        n: See ``resampling_weights``.
        draws: See ``resampling_weights``.
    """
    rows, which = np.unique(resampling_weights(name, n, draws), axis=0, return_inverse=True)
    which = which.ravel()
    for array in (rows, which):
        array.setflags(write=False)
    return rows, which


def weighted_mean(weights: Floats, values: Floats) -> Floats:
    """Return means over axis 0 of ``values`` for each row of weights; holes get no weight.

    Args:
        weights: (draws, seeds).
        values: (seeds, n); NaN is a hole.

    Returns:
        (draws, n); NaN where a draw holds holes only.
    """
    there = ~np.isnan(values)
    if there.all():
        return weights @ values
    total = weights @ there.astype(float)
    summed = weights @ np.where(there, values, 0.0)
    return _quotient(summed, total)


def mean_or_nan(values: Floats, axis: int) -> Floats:
    """Return the mean without the NaN; NaN, and no warning, where there is nothing else."""
    # np.nanmean warns where there is nothing else
    there = ~np.isnan(values)
    return _quotient(np.where(there, values, 0.0).sum(axis=axis), there.sum(axis=axis))


def _quotient(above: Floats, below: Floats | NDArray[np.int_]) -> Floats:
    """Return ``above / below``, NaN without a warning where ``below`` is not positive."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def deviations(weights: Floats, per_seed: Floats) -> Floats:
    """Return resampled means minus the mean, corrected for the size of the sample.

    Args:
        weights: (draws, seeds), as ``resampling_weights`` returns them.
        per_seed: (methods, seeds).

    Returns:
        (draws, methods), multiplied by ``small_sample_factor``.
    """
    values = per_seed.T
    return (weighted_mean(weights, values) - mean_or_nan(values, 0)) * small_sample_factor(per_seed)


def small_sample_factor(per_seed: Floats) -> Floats:
    """Return sqrt(n/(n − 1)) of each method's n seeds, NaN for fewer than two.

    Resampling n values has a variance too small by (n − 1)/n. ``per_seed`` is (methods, seeds).
    """
    n = (~np.isnan(per_seed)).sum(axis=1).astype(float)
    root: Floats = np.sqrt(_quotient(n, n - 1))
    return root


@dataclass(frozen=True)
class SettingsMean:
    """For each method its mean over settings with the interval, and the populations of that."""

    point: Floats  # (methods,)
    ends: Floats  # (2, methods)
    over: list[str]  # SEEDS or SEEDS_AND_TASKS
    error: Floats  # (methods,): standard error over seeds
    freedom: Floats  # (methods,): of that error, Welch–Satterthwaite


def mean_over_settings(
    settings: Sequence[Setting],
    per_seed: list[Floats],
    moved: list[Floats],
    baselines: Sequence[Floats | None] | None = None,
) -> SettingsMean:
    """Average over the settings that a method has, weighted equally, with the 95 % interval.

    A method with TASKS_RESAMPLED tasks or more has whole tasks resampled, with all their settings
    and seeds: the spread of the tasks' means holds that of their seeds, and to resample these
    once more would count it twice (Davison and Hinkley 1997, §3.8).

    Args:
        settings: Their names.
        per_seed: For each setting values (methods, seeds); NaN is a hole.
        moved: For each setting the ``deviations`` (draws, methods) of its mean.
        baselines: For each setting without pairs the baseline's values (seeds,), whose mean was
            subtracted and has a spread of its own; None where seeds are paired.

    Returns:
        The means; ends are NaN where a setting has a single seed: its spread is unknown.
    """
    means = np.stack([mean_or_nan(values, 1) for values in per_seed])
    spread = [_variance_of_mean(values) for values in per_seed]
    for place, values in enumerate(baselines or ()):
        if values is not None:
            spread[place] = _with_baseline(*spread[place], values)
    variances, free = (np.stack(each) for each in zip(*spread, strict=True))
    there = ~np.isnan(means)
    point = mean_or_nan(means, 0)
    stacked = np.where(there[:, None, :], np.stack(moved), 0.0)
    drawn = stacked.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    ends = _interval(point, drawn, _stretch(variances, free))
    tasks = [setting[0] for setting in settings]
    many = _tasks_of(tasks, there) >= TASKS_RESAMPLED
    if many.any():
        ends[:, many] = _ends_over_tasks(tasks, means[:, many], len(moved[0]))
    single = (there & np.isnan(free)).any(axis=0)
    ends[:, single | ~there.any(axis=0)] = np.nan
    error = np.sqrt(np.nansum(variances, axis=0)) / np.maximum(there.sum(axis=0), 1)
    over = [SEEDS_AND_TASKS if each else SEEDS for each in many]
    return SettingsMean(point, ends, over, error, _freedom(variances, free))


def _with_baseline(variance: Floats, free: Floats, baseline: Floats) -> tuple[Floats, Floats]:
    """Add the variance of an unpaired baseline's mean (Welch 1947) to those of the methods."""
    [of_mean], [own_free] = _variance_of_mean(baseline[None])
    total = variance + of_mean
    parts = _quotient(variance**2, free) + of_mean**2 / own_free
    freedom = np.divide(total**2, parts, out=np.full(total.shape, np.inf), where=parts > 0)
    return total, np.where(np.isnan(free) | np.isnan(own_free), np.nan, freedom)


def welch_p(found: SettingsMean) -> Floats:
    """Return two-sided p-values (methods,) of Student's t with Welch–Satterthwaite freedom."""
    t = _quotient(np.abs(found.point), found.error)
    p: Floats = 2 * stdtr(np.minimum(found.freedom, 1e6), -t)
    return np.where(np.isnan(found.ends).any(axis=0), np.nan, p)


def _variance_of_mean(per_seed: Floats) -> tuple[Floats, Floats]:
    """Return the squared standard error of the mean over seeds, and n − 1, per method."""
    n = (~np.isnan(per_seed)).sum(axis=1).astype(float)
    free = np.where(n > 1, n - 1, np.nan)
    squares = (per_seed - mean_or_nan(per_seed, 1)[:, None]) ** 2
    return np.nansum(squares, axis=1) / free / n.clip(min=1), free


def _stretch(variances: Floats, free: Floats) -> Floats:
    """Return how much wider than normal an interval must be: t/z, Welch–Satterthwaite freedom.

    Both (settings, methods); settings that a method lacks are NaN in both. The bootstrap of 3
    values does not see the uncertainty of their spread and covers far too rarely; this is
    the expanded interval of Hesterberg 2015 (The American Statistician 69, §5.3), applied to the
    deviations, since few values have no quantiles further out.
    """
    return _t_over_z(_freedom(variances, free))


def _freedom(variances: Floats, free: Floats) -> Floats:
    total = np.nansum(variances, axis=0)
    parts = np.nansum(variances**2 / free, axis=0)
    return np.divide(total**2, parts, out=np.full(total.shape, np.inf), where=parts > 0)


def _t_over_z(freedom: Floats) -> Floats:
    """Return how much further out than the normal's are the ends of Student's t, same shape."""
    upper = (1 + LEVEL) / 2
    wider: Floats = stdtrit(np.minimum(freedom, 1e6), upper) / ndtri(upper)
    return wider


def _interval(point: Floats, moved: Floats, wider: Floats) -> Floats:
    """Return the ends (2, methods) around ``point`` from deviations (draws, methods)."""
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    whole = ~np.isnan(moved).any(axis=0)
    ends = np.full((2, len(point)), np.nan)
    ends[:, whole] = np.quantile(moved[:, whole], tails, axis=0)
    for column in np.flatnonzero(~whole):
        drawn = moved[:, column]
        drawn = drawn[~np.isnan(drawn)]
        if len(drawn):
            ends[:, column] = np.quantile(drawn, tails)
    return point + wider * ends


def _tasks_of(tasks: list[str], there: NDArray[np.bool_]) -> Floats:
    """Count the tasks of each method: ``there`` (settings, methods) gives (methods,)."""
    names = sorted(set(tasks))
    found = [there[[task == name for task in tasks]].any(axis=0) for name in names]
    count: Floats = np.sum(found, axis=0).astype(float)
    return count


def _ends_over_tasks(tasks: list[str], means: Floats, draws: int) -> Floats:
    """Return ends (2, methods) from whole tasks resampled; ``means`` (settings, methods).

    Stretched as for seeds, with one degree of freedom less than there are tasks.
    """
    names = sorted(set(tasks))
    weights = resampling_weights("tasks", len(names), draws)
    drawn = weighted_mean(weights[:, [names.index(task) for task in tasks]], means)
    point = mean_or_nan(means, 0)
    n = _tasks_of(tasks, ~np.isnan(means))
    moved = (drawn - point) * np.sqrt(n / (n - 1))
    return _interval(point, moved, _t_over_z(n - 1))


def t_quantile(freedom: Floats) -> Floats:
    """Return the two-sided LEVEL quantile of Student's t; NaN below one degree of freedom."""
    free = np.asarray(freedom, dtype=float)
    return np.where(free >= 1, stdtrit(np.maximum(free, 1), (1 + LEVEL) / 2), np.nan)
