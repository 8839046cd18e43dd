"""The score: what pruning does to the test error over the whole range of compression."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, suggest
from prunebench.records import DENSE
from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import DRAWS, Floats
from prunebench.statistics.cells import flags
from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER, UNRESOLVED, judge
from prunebench.statistics.grid import SETTING
from prunebench.statistics.parts import Part, split
from prunebench.statistics.pool import pool, seed_shares
from prunebench.statistics.significance import ALPHA, holm, sign_flip, signed_rank, verdict

RANDOM = "random"
ALL = "all"
EQUIVALENCE = 0.5  # ± points
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


def score(
    cells: pd.DataFrame,
    baseline: str = DENSE,
    reference: str = RANDOM,
    alpha: float = ALPHA,
    draws: int = DRAWS,
    primary: Sequence[str] | None = None,
    equivalence: float = EQUIVALENCE,
) -> pd.DataFrame:
    """Score every method against ``baseline``; one row a method, best first, incomplete ones last.

    ``score``: test error minus that of the baseline with the same seed, in points, integrated
    (trapezoid) over log₂ of the nominal compression ratio 1/(1 − sparsity) and divided by the
    range, so that it is a mean difference in points; seeds averaged within a setting (task,
    regime, model), settings weighted equally. Negative is better than the baseline. The nominal
    ratio gives all methods the same grid points; the achieved one is for figures.
    ``low``, ``high``: 95 % bootstrap interval over seeds within the settings, draws shared by all
    methods; NaN where a setting has one seed; ``interval_over``: ``seeds`` (on these tasks), or
    ``seeds and tasks`` from 8 tasks on. ``chosen*``: the same for the value at the sparsity
    with the lowest mean validation error (chosen anew in each draw; ties go to the sparser).
    ``p_*``: exact sign-flip test over seeds, Holm-adjusted over the ``primary`` methods: those
    named, else all that are no controls by the column ``control`` (all, where no row says so).
    Others keep their unadjusted p, and the words ``against_*`` call it exploratory.
    ``p_tasks``, ``against_tasks``: Wilcoxon's signed-rank test against the baseline over the means
    of 9 tasks or more, Holm-adjusted alike. ``verdict``: ``better``, ``worse``, ``equivalent``
    (the whole interval inside ±``equivalence`` points), ``unresolved``, by ``decide``.
    ``wins, ties, losses``: cells against the baseline of their seed. ``best_*``: the setting and
    sparsity with the lowest validation difference, and the test difference there.
    ``missing``: points of the grid (all settings, seeds with a baseline, all sparsities) without
    a record; where there are any, ``complete`` is False and the score stands on the rest.
    Raises PrunebenchError for a table that ``check_cells`` refuses, without a baseline, or
    without a method that ``primary`` names.
    """
    parts = split(cells, baseline, reference, draws)
    return _score(parts, _ask(cells, baseline, reference, alpha, primary, equivalence))


def score_subsets(
    cells: pd.DataFrame,
    baseline: str = DENSE,
    reference: str = RANDOM,
    alpha: float = ALPHA,
    draws: int = DRAWS,
    primary: Sequence[str] | None = None,
    equivalence: float = EQUIVALENCE,
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """Score every subset by task, regime and model, from one pass over the cells.

    Keys are (task, regime, model) with ``all`` for no choice; ``("all", "all", "all")`` is first.
    """
    parts = split(cells, baseline, reference, draws)
    question = _ask(cells, baseline, reference, alpha, primary, equivalence)
    axes = [[ALL, *sorted({part.grid.setting[i] for part in parts})] for i in range(len(SETTING))]
    found = {}
    for wanted in product(*axes):
        chosen = [part for part in parts if _within(part.grid.setting, wanted)]
        if chosen:
            found[wanted[0], wanted[1], wanted[2]] = _score(chosen, question)
    return found


def _within(setting: Iterable[str], wanted: Iterable[str]) -> bool:
    return all(w in (ALL, s) for s, w in zip(setting, wanted, strict=True))


def _ask(
    cells: pd.DataFrame, baseline: str, reference: str, alpha: float,
    primary: Sequence[str] | None, equivalence: float,
) -> Question:  # fmt: skip
    pairs = cells[["method", "family"]].drop_duplicates()
    families = dict(pairs.itertuples(index=False, name=None))
    for name in primary or ():
        if name not in families:
            raise PrunebenchError(f"primary: no method {name!r}{suggest(name, families)}")
    chosen = primary or set(families) - _controls(cells)
    return Question(families, frozenset(chosen), baseline, reference, alpha, equivalence)


def _controls(cells: pd.DataFrame) -> set[str]:
    """The methods that a row calls a control."""
    if "control" not in cells.columns:
        return set()
    return set(cells.loc[flags(cells["control"]).fillna(False), "method"])


def _score(parts: list[Part], ask: Question) -> pd.DataFrame:
    """Combine settings into the table that ``score`` describes."""
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
