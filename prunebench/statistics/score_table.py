"""Combine the scores in settings to a table: a row per method with interval, tests and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import (
    EQUIVALENT,
    HIGHER,
    LOWER,
    UNRESOLVED,
    decide_interval,
)
from prunebench.statistics.sample_error import over_settings, widened
from prunebench.statistics.setting_scores import SettingScores
from prunebench.statistics.significance import (
    SEED,
    TASK,
    UNIT,
    UNPAIRED,
    holm,
    sign_flip,
    signed_rank,
    unit_shares,
    verdict,
)
from prunebench.statistics.training_outcomes import exact_interval

TASKS_TESTED = 9  # from which on there is a test over tasks
REFERENCE = "reference"  # the words beside a method compared with itself
VERDICTS = {
    LOWER: "better", HIGHER: "worse", EQUIVALENT: "equivalent", UNRESOLVED: "unresolved",
}  # fmt: skip


@dataclass(frozen=True)
class ScoreRules:
    """The methods that are compared, with which others, and by which rules."""

    families: dict[str, str]  # of methods
    primary: frozenset[str]  # the methods that Holm adjusts for
    baseline: str
    reference: str
    alpha: float
    equivalence: float  # ± points
    shared: frozenset[tuple[str, str]] = frozenset()  # task and regime whose draws models share


def score_table(scored: list[SettingScores], rules: ScoreRules) -> pd.DataFrame:
    """Return the table that ``score`` describes, over the given settings."""
    methods = list(scored[0].grid.methods)
    # all columns at once: pandas takes a millisecond for each that is added
    made: dict[str, Any] = {"method": methods, "family": [rules.families[m] for m in methods]}
    settings = [each.grid.setting for each in scored]
    is_baseline = np.array([m == rules.baseline for m in methods])
    alone = [each.alone for each in scored]
    welch: Floats | None = None
    for prefix, per_seed, moved in (
        ("", [each.to_baseline.influence for each in scored], [each.moved for each in scored]),
        ("chosen_", [each.chosen for each in scored], [each.moved_chosen for each in scored]),
    ):
        found = bootstrap.mean_over_settings(settings, per_seed, moved, alone)
        # compared with itself: no uncertainty to show
        low, high = np.where(is_baseline, np.nan, found.ends)
        made[prefix.rstrip("_") or "score"] = found.point
        made[f"{prefix}low"], made[f"{prefix}high"] = low, high
        if not prefix:
            made["interval_over"] = found.over
            if any(each is not None for each in alone):
                welch = bootstrap.welch_p(found)
    against = {
        "baseline": (rules.baseline, [each.to_baseline.own for each in scored], welch),
        "reference": (rules.reference, [each.to_reference.own for each in scored], None),
    }
    for name, (other, values, p) in against.items():
        made[f"p_{name}"], made[f"against_{name}"] = _compare(scored, values, other, rules, p)
    made["p_tasks"], made["against_tasks"] = _compare_tasks(scored, rules)
    made["primary"] = [m in rules.primary and m != rules.baseline for m in methods]
    tasks = [setting[0] for setting in settings]
    by_setting = np.array([each.sample_errors for each in scored])
    made["sample_error"] = [over_settings(tasks, errors) for errors in by_setting.T]
    columns = ["score", "low", "high", "p_baseline", "sample_error"]
    judged = [
        VERDICTS[
            decide_interval(
                low, high, p, rules.equivalence, rules.alpha, widened(value, low, high, error)
            )
        ]
        for value, low, high, p, error in zip(*(made[name] for name in columns), strict=True)
    ]
    made["verdict"] = np.where(is_baseline, REFERENCE, judged)
    made |= _counts(scored, is_baseline) | _best_over(scored)
    made["place"] = _places(made, scored)
    table = pd.DataFrame(made)
    order = ["collapsed", "place", "score", "method"]
    table = table[table["cells"] > 0].sort_values(order, ignore_index=True)
    table["rank"] = _ranks(table)
    return table.drop(columns="place")


def _counts(scored: list[SettingScores], is_baseline: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the counts of cells: won, tied, lost, missing, failed, left out, under-trained, …"""
    tally = np.sum([each.tally for each in scored], axis=0)
    tally[is_baseline, :3] = 0  # against itself there is nothing to win
    made: dict[str, Any] = dict(zip(("wins", "ties", "losses"), tally.T, strict=False))
    for column in ("missing", "cells", "failed", "left_out", "under_trained", "collapsed"):
        made[column] = np.sum([getattr(each.grid, column) for each in scored], axis=0)
    made["complete"] = made["missing"] == 0
    made["failed_share"] = made["failed"] / np.where(made["cells"] > 0, made["cells"], np.nan)
    ends = [exact_interval(*pair) for pair in zip(made["failed"], made["cells"], strict=True)]
    made["failed_low"], made["failed_high"] = zip(*ends, strict=True)
    return made


def _places(made: dict[str, Any], scored: list[SettingScores]) -> list[float]:
    """Return the place of each method among those that collapse at as many compressions.

    Complete ones stand by their scores. One that lacks cells stands behind those that beat it on
    the cells that both have: its own score may stand on the easier ones.
    """
    scores, complete, collapsed = made["score"].round(9), made["complete"], made["collapsed"]
    there = made["cells"] > 0
    found = []
    for m in range(len(scores)):
        others = [o for o in range(len(scores)) if complete[o] and collapsed[o] == collapsed[m]]
        if complete[m]:
            found.append(float(sum(scores[o] < scores[m] for o in others)))
            continue
        found.append(-0.5)
        for o in others if there[m] else ():
            shared = np.array([each.against(m, o) for each in scored])
            found[-1] += bool(bootstrap.mean_or_nan(shared, 0) > 0)
    return found


def _ranks(table: pd.DataFrame) -> list[float]:
    """Return ranks from 1 on, in the order of the table; equals share one, no score has none."""
    keys = list(zip(table["collapsed"], table["place"], table["score"].round(9), strict=True))
    return [float(keys.index(key) + 1) if key[2] == key[2] else np.nan for key in keys]


def _compare(
    scored: list[SettingScores], values: list[Floats], other: str, rules: ScoreRules,
    welch: Floats | None,
) -> tuple[Floats, list[str]]:  # fmt: skip
    """Return the sign-flip p over units, adjusted, and words per method, against ``other``.

    Where a setting is not paired there are no signs to flip: ``welch`` is the p in its place.
    """
    methods = scored[0].grid.methods
    seeds = [each.grid.seeds for each in scored]
    names = [each.grid.setting for each in scored]
    units = [SEED if welch is None else UNPAIRED] * len(methods)
    p, total, counts = np.full(len(methods), np.nan), np.zeros(len(methods)), [0] * len(methods)
    for m, method in enumerate(methods):
        own = [v[m] for v in values]
        shares = unit_shares(names, seeds, own, rules.shared)
        if method not in (rules.baseline, other) and len(shares):
            p[m] = sign_flip(shares) if welch is None else welch[m]
            total[m], counts[m] = shares.sum(), len(shares)
            there = [s[~np.isnan(v)] for s, v in zip(seeds, own, strict=True)]
            if welch is None and len(np.unique(np.concatenate(there))) != len(shares):
                units[m] = UNIT
    return _adjusted(p, total, counts, methods, other, rules, units)


def _compare_tasks(scored: list[SettingScores], rules: ScoreRules) -> tuple[Floats, list[str]]:
    """Return Wilcoxon's p over tasks, adjusted, and words per method, against the baseline."""
    methods = scored[0].grid.methods
    tasks = np.array([each.grid.setting[0] for each in scored])
    means = np.stack([bootstrap.mean_or_nan(each.to_baseline.influence, 1) for each in scored])
    by_task = np.stack([bootstrap.mean_or_nan(means[tasks == t], 0) for t in np.unique(tasks)])
    p, total, counts = np.full(len(methods), np.nan), np.zeros(len(methods)), [0] * len(methods)
    for m, method in enumerate(methods):
        found = by_task[~np.isnan(by_task[:, m]), m]
        if method != rules.baseline and len(found) >= TASKS_TESTED:
            (p[m], total[m]), counts[m] = signed_rank(found), len(found)
    return _adjusted(p, total, counts, methods, rules.baseline, rules, [TASK] * len(methods))


def _adjusted(
    p: Floats, total: Floats, counts: list[int], methods: Sequence[str], other: str,
    rules: ScoreRules, units: Sequence[str],
) -> tuple[Floats, list[str]]:  # fmt: skip
    """Adjust by Holm over the primary methods, and put each p into words."""
    inside: NDArray[np.bool_] = np.array([method in rules.primary for method in methods])
    adjusted = np.where(inside, holm(np.where(inside, p, np.nan)), p)
    size = int((inside & ~np.isnan(p)).sum())
    words = []
    for m, method in enumerate(methods):
        if method == other or not counts[m]:
            words.append(REFERENCE if method == other else "–")
            continue
        family = size if inside[m] else 1
        said = verdict(adjusted[m], total[m], counts[m], family, other, rules.alpha, units[m])
        words.append(said if inside[m] else f"{said}, exploratory")
    return adjusted, words


def _best_over(scored: list[SettingScores]) -> dict[str, Any]:
    """Return the setting and sparsity with the lowest validation difference, per method."""
    best = np.stack([each.best for each in scored])
    which = np.argmin(np.where(np.isnan(best[..., 0]), np.inf, best[..., 0].round(9)), axis=0)
    columns = np.arange(best.shape[1])
    picked = best[which, columns]
    none = np.isnan(picked[:, 0]) | (picked[:, 1] == 0)  # without pruning there is no best cell
    picked[none] = np.nan
    names = [scored[i].grid.setting for i in which]
    made: dict[str, Any] = {
        f"best_{axis}": pd.array(
            [np.nan if no else name[j] for name, no in zip(names, none, strict=True)], dtype="str"
        )
        for j, axis in enumerate(SETTING)
    }
    return {**made, "best_sparsity": picked[:, 1], "best_difference": picked[:, 2]}
