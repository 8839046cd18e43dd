"""Settings put together: the table of scores of methods that are compared among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER, UNRESOLVED, judge
from prunebench.statistics.per_setting import Part
from prunebench.statistics.pooled import pool, seed_shares
from prunebench.statistics.significance import holm, sign_flip, signed_rank, verdict

TASKS_TESTED = 9  # from which on there is a test over tasks
REFERENCE = "reference"  # the words beside what is compared with itself
VERDICTS = {
    LOWER: "better", HIGHER: "worse", EQUIVALENT: "equivalent", UNRESOLVED: "unresolved",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is compared with what, and by which rules."""

    families: dict[str, str]  # of methods
    primary: frozenset[str]  # the methods that Holm adjusts for
    baseline: str
    reference: str
    alpha: float
    equivalence: float  # ± points


def combine(parts: list[Part], ask: Question) -> pd.DataFrame:
    """Put settings together to the table that ``score`` describes."""
    methods = list(parts[0].grid.methods)
    table = pd.DataFrame({"method": methods, "family": [ask.families[m] for m in methods]})
    settings = [part.grid.setting for part in parts]
    is_baseline = np.array([m == ask.baseline for m in methods])
    for prefix, per_seed, moved in (
        ("", [p.against_baseline for p in parts], [p.moved for p in parts]),
        ("chosen_", [p.chosen for p in parts], [p.moved_chosen for p in parts]),
    ):
        found = pool(settings, per_seed, moved)
        # compared with itself: no uncertainty to show
        low, high = np.where(is_baseline, np.nan, found.ends)
        table[prefix.rstrip("_") or "score"] = found.point
        table[f"{prefix}low"], table[f"{prefix}high"] = low, high
        if not prefix:
            table["interval_over"] = found.over
    against = {
        "baseline": (ask.baseline, [p.against_baseline for p in parts]),
        "reference": (ask.reference, [p.against_reference for p in parts]),
    }
    for column, (other, values) in against.items():
        table[f"p_{column}"], table[f"against_{column}"] = _compare(parts, values, other, ask)
    table["p_tasks"], table["against_tasks"] = _compare_tasks(parts, ask)
    table["primary"] = [m in ask.primary and m != ask.baseline for m in methods]
    ends = table[["low", "high", "p_baseline"]].to_numpy(float)
    judged = [VERDICTS[judge(low, high, p, ask.equivalence, ask.alpha)] for low, high, p in ends]
    table["verdict"] = np.where(is_baseline, REFERENCE, judged)
    table = _count(table, parts, ask.baseline).join(_best_over(parts))
    order = ["complete", "score", "method"]
    table = table[table["cells"] > 0].sort_values(order, ascending=[False, True, True])
    return table.reset_index(drop=True)


def _count(table: pd.DataFrame, parts: list[Part], baseline: str) -> pd.DataFrame:
    """Add the counts of cells won, tied, lost, missing, there and failed."""
    tally = np.sum([p.tally for p in parts], axis=0)
    tally[table["method"] == baseline, :3] = 0  # against itself there is nothing to win
    for position, column in enumerate(("wins", "ties", "losses", "missing")):
        table[column] = tally[:, position]
    table["cells"] = np.sum([p.grid.cells for p in parts], axis=0)
    table["failed"] = np.sum([p.grid.failed for p in parts], axis=0)
    table["complete"] = table["missing"] == 0
    return table


def _compare(
    parts: list[Part], values: list[Floats], other: str, ask: Question
) -> tuple[Floats, list[str]]:
    """Sign-flip p over seeds, adjusted, and words per method, against ``other``."""
    methods = parts[0].grid.methods
    seeds = [part.grid.seeds for part in parts]
    p, total, counts = np.full(len(methods), np.nan), np.zeros(len(methods)), [0] * len(methods)
    for m, method in enumerate(methods):
        shares = seed_shares(seeds, [v[m] for v in values])
        if method not in (ask.baseline, other) and len(shares):
            p[m], total[m], counts[m] = sign_flip(shares), shares.sum(), len(shares)
    return _adjusted(p, total, counts, methods, other, ask, "seed")


def _compare_tasks(parts: list[Part], ask: Question) -> tuple[Floats, list[str]]:
    """Wilcoxon's p over tasks, adjusted, and words per method, against the baseline."""
    methods = parts[0].grid.methods
    tasks = np.array([part.grid.setting[0] for part in parts])
    means = np.stack([bootstrap.mean_or_nan(part.against_baseline, 1) for part in parts])
    by_task = np.stack([bootstrap.mean_or_nan(means[tasks == t], 0) for t in np.unique(tasks)])
    p, total, counts = np.full(len(methods), np.nan), np.zeros(len(methods)), [0] * len(methods)
    for m, method in enumerate(methods):
        found = by_task[~np.isnan(by_task[:, m]), m]
        if method != ask.baseline and len(found) >= TASKS_TESTED:
            (p[m], total[m]), counts[m] = signed_rank(found), len(found)
    return _adjusted(p, total, counts, methods, ask.baseline, ask, "task")


def _adjusted(
    p: Floats, total: Floats, counts: list[int], methods: Sequence[str], other: str,
    ask: Question, unit: str,
) -> tuple[Floats, list[str]]:  # fmt: skip
    """Holm over the primary methods, and what each p allows to say."""
    inside: NDArray[np.bool_] = np.array([method in ask.primary for method in methods])
    adjusted = np.where(inside, holm(np.where(inside, p, np.nan)), p)
    size = int((inside & ~np.isnan(p)).sum())
    words = []
    for m, method in enumerate(methods):
        if method == other or not counts[m]:
            words.append(REFERENCE if method == other else "–")
            continue
        family = size if inside[m] else 1
        said = verdict(adjusted[m], total[m], counts[m], family, other, ask.alpha, unit)
        words.append(said if inside[m] else f"{said}, exploratory")
    return adjusted, words


def _best_over(parts: list[Part]) -> pd.DataFrame:
    """The setting and sparsity with the lowest validation difference, per method."""
    best = np.stack([part.best for part in parts])
    which = np.argmin(np.where(np.isnan(best[..., 0]), np.inf, best[..., 0].round(9)), axis=0)
    columns = np.arange(best.shape[1])
    picked = best[which, columns]
    none = np.isnan(picked[:, 0])
    names = [parts[i].grid.setting for i in which]
    made = {f"best_{axis}": [n[j] for n in names] for j, axis in enumerate(SETTING)}
    table = pd.DataFrame({**made, "best_sparsity": picked[:, 1], "best_difference": picked[:, 2]})
    table[none] = np.nan
    return table
