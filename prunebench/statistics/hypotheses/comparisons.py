"""Comparisons: an estimate with what it compares, judged as a family, as rows of evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import (
    EQUIVALENT,
    HIGHER,
    LOWER,
    UNRESOLVED,
    Estimate,
    decide,
    estimate,
)
from prunebench.statistics.significance import holm

EVIDENCE = (
    "scope", "method", "against", "measure", "sparsity", "value", "low", "high", "p", "decision",
    "seeds", "settings", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One number of a hypothesis. ``p`` is Holm-adjusted once ``judged`` as part of a family."""

    scope: str
    method: str
    against: str
    measure: str
    found: Estimate
    margin: float = 0.0  # the region of practical equivalence, in the unit of the measure
    sparsity: float = math.nan  # where all settings share one
    note: str = ""
    p: float = math.nan
    family: int = 1  # how many tests ``p`` is adjusted for
    decision: str = UNRESOLVED

    def row(self) -> dict[str, object]:
        """As a row of evidence."""
        known = {**asdict(self.found), **asdict(self)}
        return {column: known[column] for column in EVIDENCE}


def compared(
    values: pd.DataFrame,
    measure: str,
    scope: str,
    against: str,
    column: str = "value",
    margin: float = 0.0,
    by: str = "method",
) -> list[Comparison]:
    """Estimate ``column`` for each ``by``; one row of ``values`` per setting, seed and ``by``.

    A ``sparsity`` that all settings of a method share becomes the comparison's. Those without a
    single value are left out.
    """
    made = []
    for name, rows in values.dropna(subset=[column]).groupby(by, sort=True):
        found = estimate(rows[[*SETTING, "seed", column]], column)
        at = set(rows["sparsity"]) if "sparsity" in rows.columns else set()
        sparsity = float(at.pop()) if len(at) == 1 else math.nan
        made.append(Comparison(scope, str(name), against, measure, found, margin, sparsity))
    return made


def correlations(items: Sequence[Comparison]) -> list[Comparison]:
    """The items with their intervals cut at ±1, which no correlation passes."""
    return [
        replace(
            item,
            found=replace(
                item.found, low=max(item.found.low, -1.0), high=min(item.found.high, 1.0)
            ),
        )
        if not math.isnan(item.found.low)
        else item
        for item in items
    ]


def judged(items: Sequence[Comparison], alpha: float) -> list[Comparison]:
    """The items as one family: Holm over their p, and what each then allows to say."""
    adjusted = holm(np.array([item.found.p for item in items], dtype=float))
    size = max(1, int((~np.isnan(adjusted)).sum()))
    return [
        replace(
            item,
            p=float(p),
            family=size,
            decision=decide(item.found, item.margin, float(p), alpha),
        )
        for item, p in zip(items, adjusted, strict=True)
    ]


def joint(items: Sequence[Comparison], wanted: Sequence[str], p: float, alpha: float) -> bool:
    """Whether every item's interval lies on its wanted side and the adjusted ``p`` allows it.

    An intersection–union test (Berger 1982): a claim that needs all its parts has the largest of
    their p-values, and needs no correction for their number; ``p`` is that, Holm-adjusted over the
    claims.
    """
    sides = {LOWER: lambda e: e.high < 0, HIGHER: lambda e: e.low > 0}
    inside = all(sides[side](item.found) for item, side in zip(items, wanted, strict=True))
    return bool(inside and p <= alpha)


def largest_p(items: Sequence[Comparison]) -> float:
    """The p of a claim that needs all items: the largest, NaN where one is."""
    return float(np.max([item.found.p for item in items])) if items else math.nan


def evidence(items: Sequence[Comparison]) -> pd.DataFrame:
    """Rows of evidence with the columns EVIDENCE; empty without items."""
    return pd.DataFrame([item.row() for item in items], columns=list(EVIDENCE))


__all__ = [
    "EQUIVALENT", "EVIDENCE", "HIGHER", "LOWER", "UNRESOLVED", "Comparison",
    "compared", "correlations", "evidence", "joint", "judged", "largest_p",
]  # fmt: skip
