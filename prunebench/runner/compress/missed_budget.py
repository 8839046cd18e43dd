"""Why a method that was tried lies far from the budget, and what would bring it there."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from prunebench.experiment.part_kinds import Allocation
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Method
from prunebench.report.compressed import UNITS
from prunebench.runner.compress.choice import SLACK
from prunebench.runner.compress.size_budget import Budget
from prunebench.text.numbers import percent

# how far a kept share may lie from a budget before a reader wonders, as a share of the budget
FAR = {"weights": 0.05, "macs": 0.05, "latency": 0.15}
_MET = 0.02  # how far an achieved sparsity may lie from the one that was asked


def missed_budget(plan: Plan, table: pd.DataFrame, budget: Budget, finder: str) -> Iterator[str]:
    """Yield a sentence for each method none of whose networks lies near the budget and within it.

    Args:
        plan: of the search.
        table: of ``tried``.
        budget: what was asked.
        finder: the method whose sparsities all were tried at.
    """
    methods = {method.name: method for method in plan.experiment.methods}
    column = f"kept_{budget.unit}"
    candidates = table[table["candidate"]].dropna(subset=[column])
    for name in sorted(candidates["method"].unique()):
        there = candidates[candidates["method"] == name]
        misses = (there[column].astype(float) - budget.share).abs()
        near = there[misses <= FAR[budget.unit] * budget.share]
        meets = near[column] <= budget.share * (1 + SLACK[budget.unit])
        if meets.any():
            continue
        if len(near):
            yield _above(near.loc[near[column].idxmin()], column, budget)
            continue
        nearest = there.loc[misses.idxmin()]
        yield (
            f"{name} is not near the budget: the nearest of its networks keeps"
            f" {percent(float(nearest[column]), 1)} of the {UNITS[budget.unit]}."
            f" {_why(methods[name], methods[finder], nearest)}"
        )


def _above(row: pd.Series, column: str, budget: Budget) -> str:
    """Return what to do for a method whose networks come near a budget from above alone."""
    name = row["method"]
    return (
        f"{name} came near the budget, not within it: {percent(float(row[column]), 1)} of the"
        f" {UNITS[budget.unit]}, at a validation error of {percent(float(row['val_error']))}. To"
        f" find sparsities that fit it, name it first: --methods {name},random-filter."
    )


def _why(method: Method, finder: Method, row: pd.Series) -> str:
    asked, met = float(row["sparsity"]), float(row["sparsity_achieved"])
    if asked and abs(met - asked) > _MET:
        return (
            f"It was to remove {percent(asked, 1)} of the prunable weights and removed"
            f" {percent(met, 1)}: filters go whole, and those that a skip connection joins go"
            " together, so that not every share can be met."
        )
    if not asked:  # the allocation has the budget itself
        return "Its allocation found no levels of the layers that come nearer."
    found = f"The sparsities were found for {finder.name}"
    first = f"To find them for this method, name it first: --methods {method.name},random-filter."
    if method.spec(Allocation).name != finder.spec(Allocation).name:
        return (
            f"{found}, whose allocation is {finder.allocation.name}; this method's is"
            f" {method.allocation.name}: it takes as many weights, but from other layers, and a"
            f" weight costs more in one layer than in another. {first}"
        )
    return f"{found}, and this method takes other filters. {first}"
