"""Compare methods as a family: estimates, adjusted by Holm and decided, as rows of evidence."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import HIGHER, LOWER, UNRESOLVED, Estimate, decide, estimate
from prunebench.statistics.sample_error import over_settings
from prunebench.statistics.significance import holm

EVIDENCE = (
    "scope", "method", "against", "measure", "sparsity", "value", "low", "high", "p", "decision",
    "seeds", "settings", "units", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One number of a hypothesis; ``judge_family`` sets p, family and decision."""

    scope: str
    method: str
    against: str
    measure: str
    found: Estimate
    margin: float = 0.0  # the region of practical equivalence, in the unit of the measure
    sparsity: float = math.nan  # where all settings share one
    note: str = ""
    p: float = math.nan  # Holm-adjusted
    family: int = 1  # how many tests ``p`` is adjusted for
    decision: str = UNRESOLVED


def compare_each(
    values: pd.DataFrame,
    measure: str,
    scope: str,
    against: str,
    column: str = "value",
    margin: float = 0.0,
    by: str = "method",
    shared: Collection[tuple[str, str]] = (),
) -> list[Comparison]:
    """Estimate a column for each method.

    Args:
        values: One row per setting, seed and ``by``; ``sample_error``, if it is there, is the
            standard error of its number over test samples. A ``sparsity`` that all settings of a
            method share becomes the comparison's.
        measure: The words for the number.
        scope: The settings, in words.
        against: The name of the method compared with.
        column: The number.
        margin: The region of practical equivalence, in the column's unit.
        by: The column that names the methods.
        shared: The (task, regime) whose random draws all models share.

    Returns:
        A comparison for each ``by`` that has a value, not yet judged.
    """
    items = []
    for name, rows in values.dropna(subset=[column]).groupby(by, sort=True):
        found = estimate(rows[[*SETTING, "seed", column]], column, shared=shared)
        if "sample_error" in rows.columns:
            errors = rows.groupby(SETTING, sort=True)["sample_error"].mean()
            tasks = [str(task) for task in errors.index.get_level_values("task")]
            found = replace(found, sample_error=over_settings(tasks, errors.to_numpy(float)))
        at = set(rows["sparsity"]) if "sparsity" in rows.columns else set()
        sparsity = float(at.pop()) if len(at) == 1 else math.nan
        items.append(Comparison(scope, str(name), against, measure, found, margin, sparsity))
    return items


def clip_correlations(items: Sequence[Comparison]) -> list[Comparison]:
    """Return the items with their intervals cut at ±1, which no correlation passes."""

    def clip(found: Estimate) -> Estimate:
        if math.isnan(found.low):
            return found
        return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))

    return [replace(item, found=clip(item.found)) for item in items]


def judge_family(items: Sequence[Comparison], alpha: float) -> list[Comparison]:
    """Adjust the p of the items, as one family, by Holm, and decide each."""
    adjusted = holm(np.array([item.found.p for item in items], dtype=float))
    size = max(1, int((~np.isnan(adjusted)).sum()))
    return [
        replace(item, p=p, family=size, decision=decide(item.found, item.margin, p, alpha))
        for item, p in zip(items, map(float, adjusted), strict=True)
    ]


def all_shown(items: Sequence[Comparison], wanted: Sequence[str], p: float, alpha: float) -> bool:
    """Return whether every item's interval lies on its wanted side of 0 and ``p`` allows the claim.

    An intersection–union test (Berger 1982): a claim that needs all its parts has the largest of
    their p-values, and needs no correction for their number.

    Args:
        items: The parts of the claim.
        wanted: LOWER or HIGHER for each.
        p: ``largest_p`` of the items, Holm-adjusted over the claims.
        alpha: The level.
    """
    sides = {LOWER: lambda e: e.high < 0, HIGHER: lambda e: e.low > 0}
    inside = all(sides[side](item.found) for item, side in zip(items, wanted, strict=True))
    return bool(inside and p <= alpha)


def largest_p(items: Sequence[Comparison]) -> float:
    """Return the p of a claim that needs all items: the largest, NaN where one is."""
    return float(np.max([item.found.p for item in items])) if items else math.nan


def evidence_table(items: Sequence[Comparison]) -> pd.DataFrame:
    """Return the items as rows with the columns EVIDENCE; empty without items."""
    rows = [{**asdict(item.found), **asdict(item)} for item in items]
    return pd.DataFrame(rows, columns=list(EVIDENCE))
