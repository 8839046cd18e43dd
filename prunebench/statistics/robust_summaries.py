"""Summarize runs as rliable does: interquartile mean, performance profile, improvement.

After Agarwal et al. 2021 (Deep Reinforcement Learning at the Edge of the Statistical Precipice,
NeurIPS): a few runs that go very well or badly move a mean, and these summaries much less. A *run*
is a seed of a setting, its score the integrated difference to dense in points, lower is better;
settings are rliable's tasks. Intervals are those of its stratified bootstrap: runs are resampled
within each setting, and percentiles taken.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import DRAWS, ENTROPY, LEVEL, Floats
from prunebench.statistics.cell_grid import SETTING

TRIMMED = 0.25  # share of the runs that is left out at either end
Runs = Sequence[Floats]  # of each setting, (…, runs): draws before, where there are any


def interquartile_mean(runs: Runs) -> Floats:
    """Return the mean of the middle half of all runs, (…)."""
    values = np.sort(np.concatenate(list(runs), axis=-1), axis=-1)
    count = values.shape[-1]
    cut = int(TRIMMED * count)  # as scipy.stats.trim_mean counts
    middle: Floats = values[..., cut : count - cut].mean(axis=-1)
    return middle


def profile(runs: Runs, thresholds: Floats) -> Floats:
    """Return the share of runs that are better (lower) than each threshold, (thresholds,)."""
    values = np.concatenate(list(runs))
    found: Floats = (values[None] < thresholds[:, None]).mean(axis=1)
    return found


def probability_of_improvement(runs: Runs, others: Runs) -> Floats:
    """Return how probably a run of one method is better (lower) than one of another, (…).

    Mann and Whitney's U over the number of pairs, half for equals, averaged over settings.
    """
    found = []
    for own, its in zip(runs, others, strict=True):
        lower = own[..., :, None] < its[..., None, :]
        equal = own[..., :, None] == its[..., None, :]
        found.append((lower + 0.5 * equal).mean(axis=(-2, -1)))
    improvement: Floats = np.mean(found, axis=0)
    return improvement


def robust_summaries(
    values: pd.DataFrame, against: str | None = None, draws: int = DRAWS // 5
) -> pd.DataFrame:
    """Summarize the runs of each method.

    Args:
        values: A row per task, regime, model, seed and method with ``value``, as ``seed_scores``
            returns them; NaN takes no part.
        against: A method that the others are compared with; None leaves the comparison out.
        draws: Of the stratified bootstrap.

    Returns:
        A row per method: ``method``, ``runs``, ``iqm`` in points and ``improvement``, the
        probability of doing better than ``against`` in the settings that both have; each with
        ``_low`` and ``_high``, the 95 % percentile interval.
    """
    known = values.dropna(subset=["value"])
    names = sorted(known["method"].unique())
    by_method = {name: _runs(known, name) for name in names}
    other = by_method.get(against or "", {})
    rows = []
    for name in names:
        runs = by_method[name]
        iqm = _with_interval(lambda drawn: interquartile_mean(drawn[0]), [[*runs.values()]], draws)
        both = [key for key in runs if key in other]
        better = (np.nan,) * 3
        if both and name != against:
            better = _with_interval(
                lambda drawn: probability_of_improvement(*drawn),
                [[runs[key] for key in both], [other[key] for key in both]], draws,
            )  # fmt: skip
        rows.append((name, sum(map(len, runs.values())), *iqm, *better))
    ends = ("", "_low", "_high")
    columns = [f"{what}{end}" for what in ("iqm", "improvement") for end in ends]
    return pd.DataFrame(rows, columns=["method", "runs", *columns])


def performance_profiles(values: pd.DataFrame, thresholds: Floats) -> pd.DataFrame:
    """Return for each method the share of its runs that are better than each threshold.

    Args:
        values: As ``robust_summaries`` takes them.
        thresholds: In points.

    Returns:
        ``method``, ``threshold``, ``share``.
    """
    known = values.dropna(subset=["value"])
    made = []
    for name in sorted(known["method"].unique()):
        share = profile([*_runs(known, name).values()], thresholds)
        made.append(pd.DataFrame({"method": name, "threshold": thresholds, "share": share}))
    return pd.concat(made, ignore_index=True)


def _runs(values: pd.DataFrame, method: str) -> dict[tuple[str, ...], Floats]:
    """Return the runs of a method by setting, in the order of seeds."""
    own = values[values["method"] == method].sort_values([*SETTING, "seed"])
    return {
        tuple(map(str, key)): rows["value"].to_numpy(float)
        for key, rows in own.groupby(SETTING, sort=True)
    }


def _with_interval(
    summary: Callable[[list[list[Floats]]], Floats], methods: list[list[Floats]], draws: int
) -> tuple[float, float, float]:
    """Return a summary with the ends of its interval; NaN ends where a setting has one run."""
    value = float(summary(methods))
    if min(len(runs) for method in methods for runs in method) < 2:
        return value, np.nan, np.nan
    generator = np.random.default_rng([ENTROPY, zlib.crc32(b"stratified")])
    drawn = [[generator.choice(runs, (draws, len(runs))) for runs in method] for method in methods]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(summary(drawn), [tail, 1 - tail])
    return value, float(low), float(high)
