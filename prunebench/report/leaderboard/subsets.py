"""The scores that the page holds: choices of task, regime, model and sparsity, within a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report.leaderboard import ranking
from prunebench.report.leaderboard.columns import Row
from prunebench.statistics import SETTING
from prunebench.storage.records import ALL
from prunebench.text.numbers import percent

ROWS = 8_000  # of all tables together: about 2 MB
AXES = ("task", "regime", "model", "sparsity")
Choice = tuple[str, str, str, str]  # of AXES; the sparsity as a reader sees it
EVERYTHING: Choice = (ALL, ALL, ALL, ALL)


@dataclass(frozen=True)
class ChoiceTables:
    """The rows of each choice, and how many axes may be chosen at once."""

    rows: dict[Choice, list[Row]]
    axes: dict[str, list[str]]  # the values of each axis
    depth: int  # at most so many axes are chosen at once


def tables(cells: pd.DataFrame, analysis: Analysis, limit: int = ROWS) -> ChoiceTables:
    """Score each choice by itself; with a sparsity, on the cells of that sparsity alone.

    An axis with one value offers no choice. Holm's family is those declared methods that have cells
    at the chosen sparsity, or all but the controls where none has.

    Args:
        cells: the records.
        analysis: how they are judged.
        limit: how many rows are held at most, over all choices.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    targets = _targets(cells)
    axes = {axis: sorted(cells[axis].astype(str).unique()) for axis in SETTING}
    axes["sparsity"] = list(targets)
    depth = _depth(axes, cells["method"].nunique(), limit)
    found: dict[Choice, list[Row]] = {}
    for sparsity, wanted in _choices(axes, depth).items():
        inside, judged = cells, analysis
        if sparsity != ALL:
            inside = cells[cells["sparsity"].isin([0.0, targets[sparsity]])]
            there = set(inside["method"])
            primary = [method for method in analysis.primary if method in there]
            judged = analysis.model_copy(update={"primary": primary})
        for subset, rows in ranking.boards(inside, judged, wanted).items():
            found[*subset, sparsity] = rows
    return ChoiceTables(found, axes, depth)


def _targets(cells: pd.DataFrame) -> dict[str, float]:
    """Return the sparsities above 0 by their text, with as many digits as tell them apart."""
    values = sorted(float(value) for value in cells["sparsity"].unique() if value > 0)
    found: dict[str, float] = {}
    for digits in range(2, 11):
        found = {percent(value, digits): value for value in values}
        if len(found) == len(values):
            break
    return found


def _choices(axes: dict[str, list[str]], depth: int) -> dict[str, list[ranking.Subset]]:
    """Return the choices that change at most ``depth`` axes, by sparsity."""
    found: dict[str, list[ranking.Subset]] = {}
    for task, regime, model, sparsity in product(*map(_offered, axes.values())):
        if sum(value != ALL for value in (task, regime, model, sparsity)) <= depth:
            found.setdefault(sparsity, []).append((task, regime, model))
    return found


def _offered(values: list[str]) -> list[str]:
    return [ALL, *values] if len(values) > 1 else [ALL]


def _depth(axes: dict[str, list[str]], methods: int, limit: int) -> int:
    """Return how many axes may be chosen at once so that at most ``limit`` rows are held."""
    sizes = [len(values) for values in axes.values() if len(values) > 1]
    total, depth = 0, 0
    for depth, count in enumerate(_ways(sizes)):
        total += count * methods
        if total > limit:
            return max(0, depth - 1)
    return depth


def _ways(sizes: list[int]) -> Iterator[int]:
    """Yield in how many ways 0, 1, … axes of these sizes can be chosen at once."""
    polynomial = [1]
    for size in sizes:  # the coefficients of (1 + a·x)(1 + b·x)…
        shifted = [0, *(size * value for value in polynomial)]
        polynomial = [x + y for x, y in zip([*polynomial, 0], shifted, strict=True)]
    yield from polynomial
