"""Settings put together: the mean over them, its interval, and what each seed adds to it.

One piece for the score of many methods and for the estimate of one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats

TASKS_RESAMPLED = 8  # tasks from which on the interval speaks of other tasks too
SEEDS, SEEDS_AND_TASKS = "seeds", "seeds and tasks"
Setting = tuple[str, str, str]  # task, regime, model


@dataclass(frozen=True)
class Pooled:
    """Per method: the mean over its settings, the ends of its interval, what that speaks of."""

    point: Floats  # (methods,)
    ends: Floats  # (2, methods)
    over: list[str]  # SEEDS or SEEDS_AND_TASKS


def pool(settings: Sequence[Setting], per_seed: list[Floats], moved: list[Floats]) -> Pooled:
    """Mean over the settings that a method has, weighted equally, with its 95 % interval.

    ``per_seed``: for each setting values (methods, seeds), NaN is a hole. ``moved``: for each
    setting the deviations (draws, methods) of its mean when its seeds are resampled.
    A method with TASKS_RESAMPLED tasks or more has whole tasks resampled, with all their settings
    and seeds: the spread of the tasks' means holds that of their seeds, and to resample these
    once more would count it twice (Davison and Hinkley 1997, §3.8).
    The ends are NaN where a setting has a single seed: its spread is unknown.
    """
    means = np.stack([bootstrap.mean_or_nan(values, 1) for values in per_seed])
    spread = [bootstrap.variance_of_mean(values) for values in per_seed]
    variances, free = (np.stack(each) for each in zip(*spread, strict=True))
    there = ~np.isnan(means)
    point = bootstrap.mean_or_nan(means, 0)
    stacked = np.where(there[:, None, :], np.stack(moved), 0.0)
    drawn = stacked.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    ends = bootstrap.interval(point, drawn, bootstrap.stretch(variances, free))
    tasks = [setting[0] for setting in settings]
    many = _tasks_of(tasks, there) >= TASKS_RESAMPLED
    if many.any():
        ends[:, many] = _ends_over_tasks(tasks, means[:, many], len(moved[0]))
    single = (there & np.isnan(free)).any(axis=0)
    ends[:, single | ~there.any(axis=0)] = np.nan
    return Pooled(point, ends, [SEEDS_AND_TASKS if each else SEEDS for each in many])


def _tasks_of(tasks: list[str], there: NDArray[np.bool_]) -> Floats:
    """How many tasks each method has: ``there`` (settings, methods) gives (methods,)."""
    names = sorted(set(tasks))
    found = [there[[task == name for task in tasks]].any(axis=0) for name in names]
    count: Floats = np.sum(found, axis=0).astype(float)
    return count


def _ends_over_tasks(tasks: list[str], means: Floats, draws: int) -> Floats:
    """Ends (2, methods) from whole tasks resampled; ``means`` (settings, methods).

    Stretched as for seeds, with one degree of freedom less than there are tasks.
    """
    names = sorted(set(tasks))
    weights = bootstrap.resampling("tasks", len(names), draws)
    drawn = bootstrap.weighted_mean(weights[:, [names.index(task) for task in tasks]], means)
    point = bootstrap.mean_or_nan(means, 0)
    n = _tasks_of(tasks, ~np.isnan(means))
    moved = (drawn - point) * np.sqrt(n / (n - 1))
    return bootstrap.interval(point, moved, bootstrap.student(n - 1))


def seed_shares(seeds: list[NDArray[np.int_]], values: list[Floats]) -> Floats:
    """What each seed adds to the mean over settings: the shares sum to it, shape (seeds there,).

    ``seeds`` and ``values``: per setting (seeds,), NaN is a hole. A sign flip of a seed flips it
    in all settings at once: the seed is the unit that repeats. Seeds with holes only are left out.
    """
    there = [~np.isnan(each) for each in values]
    settings = sum(bool(each.any()) for each in there)
    known = np.unique(np.concatenate(seeds))
    shares, used = np.zeros(len(known)), np.zeros(len(known), dtype=bool)
    for names, each, inside in zip(seeds, values, there, strict=True):
        if inside.any():
            at = np.searchsorted(known, names[inside])
            shares[at] += each[inside] / (settings * inside.sum())
            used[at] = True
    return shares[used]
