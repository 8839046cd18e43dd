"""Allocations that differ in nothing else: their errors at equal cost, and what finding them took.

Equal cost is an equal share of the weights, of the MACs or of the measured time that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import flags
from prunebench.statistics.training_outcomes import column
from prunebench.storage.records import COLLAPSED, OK

SHARED = ("criterion", "pattern", "schedule", "recovery", "recovery_length")
PRICES = ("search_evaluations", "search_epochs", "prune_seconds")
_COUNTED = ("sparsity_achieved", "macs_kept", "macs_dense", "latency_ms", "latency_dense_ms")
LEVEL = 0.95  # of intervals
POINTS = 9  # of the common range, at which curves are compared
COSTS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "weights": lambda cells: 1 - cells["sparsity_achieved"],
    "MACs": lambda cells: cells["macs_kept"] / cells["macs_dense"],
    "time": lambda cells: cells["latency_ms"] / cells["latency_dense_ms"],
}


def at_equal_cost(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the error of every method of a group that differs in its allocation alone.

    A curve's error between two cells lies on a straight line over the logarithm of what is kept. It
    is averaged over the range of shares that all curves of the group and seed reach; over seeds the
    mean is taken, with the 95 % interval of Student's t. A method with a single cell, as one with a
    budget has, is no curve: its errors are empty, and its price stands alone.

    Args:
        cells: the records. A cell that collapsed counts.

    Returns:
        A row a setting, group and method that has other allocations beside it: SETTING, SHARED,
        ``method``, ``allocation``, ``control``, ``seeds``, for each of COSTS an error in [0, 1]
        (empty where it was not measured or no range is common) with ``<cost>_low`` and
        ``<cost>_high`` (empty of a single seed), and the means of PRICES.
    """
    found = []
    for key, group, errors in _groups(cells):
        for (method, allocation), own in group.groupby(["method", "allocation"], sort=True):
            row = dict(zip([*SETTING, *SHARED], key, strict=True))
            row |= {"method": method, "allocation": allocation, "seeds": own["seed"].nunique()}
            row["control"] = bool(own["control"].iloc[0])
            for cost, by in errors.items():
                row |= _interval(cost, by.get(str(method), {}).values())
            found.append(row | own[list(PRICES)].mean().to_dict())
    ends = [f"{cost}{end}" for cost in COSTS for end in ("", "_low", "_high")]
    columns = [*SETTING, *SHARED, "method", "allocation", "control", "seeds", *ends, *PRICES]
    return pd.DataFrame(found, columns=columns)


def against_fixed(cells: pd.DataFrame) -> pd.DataFrame:
    """Return how the best allocation that tries networks does against the best that tries none.

    Both are the ones with the lowest mean error at equal cost, found after the fact, so that the
    difference flatters neither alone. Controls that try networks take no part. It is of the same
    seeds, with the 95 % interval of Student's t over them.

    Args:
        cells: the records, as of ``at_equal_cost``.

    Returns:
        A row a setting, group and cost that has both: SETTING, SHARED, ``cost``, ``tried`` and
        ``fixed`` (methods), ``difference`` (tried minus fixed, a share of 1) with
        ``difference_low`` and ``difference_high`` (empty of a single seed), and ``seeds``.
    """
    found = []
    for key, group, errors in _groups(cells):
        facts = group.groupby("method")
        tries = facts["search_evaluations"].max() > 0
        control = facts["control"].first().astype(bool)
        for cost, by in errors.items():
            means = {method: float(np.mean(list(own.values()))) for method, own in by.items()}
            tried = [m for m in means if tries[m] and not control[m]]
            fixed = [m for m in means if not tries[m]]
            if not tried or not fixed:
                continue
            one, other = min(tried, key=means.__getitem__), min(fixed, key=means.__getitem__)
            pairs = [by[one][seed] - by[other][seed] for seed in by[one] if seed in by[other]]
            row = dict(zip([*SETTING, *SHARED], key, strict=True))
            row |= {"cost": cost, "tried": one, "fixed": other, "seeds": len(pairs)}
            found.append(row | _interval("difference", pairs))
    ends = ["difference", "difference_low", "difference_high"]
    columns = [*SETTING, *SHARED, "cost", "tried", "fixed", *ends, "seeds"]
    return pd.DataFrame(found, columns=columns)


def _interval(name: str, values: Iterable[float]) -> dict[str, float]:
    """Return a mean with its interval, by its name; empty ends of a single value."""
    numbers = np.array(list(values), float)
    if not len(numbers):
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    mean, half = float(numbers.mean()), np.nan
    if len(numbers) > 1:
        half = float(stdtrit(len(numbers) - 1, 0.5 + LEVEL / 2) * numbers.std(ddof=1))
        half /= len(numbers) ** 0.5
    return {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}


def _groups(
    cells: pd.DataFrame,
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame, dict[str, dict[str, dict[int, float]]]]]:
    """Yield what differs in its allocation alone: key, cells, and errors by cost, method, seed."""
    wanted = [
        *cells.columns,
        "allocation",
        "control",
        *SHARED,
        *PRICES,
        *_COUNTED,
    ]  # others' tables lack some
    cells = cells.reindex(columns=list(dict.fromkeys(wanted)))
    usable = cells[cells["status"].isin([OK, COLLAPSED]) & cells["allocation"].notna()]
    counted = pd.DataFrame({name: column(usable, name) for name in _COUNTED})
    usable = usable.assign(
        **{name: of(counted) for name, of in COSTS.items()},
        **{name: column(usable, name) for name in PRICES},
        test_error=column(usable, "test_error"),
    )
    usable["control"] = flags(usable["control"]).fillna(False)
    for key, group in usable.groupby([*SETTING, *SHARED], sort=True):
        if group["allocation"].nunique() > 1:
            yield key, group, {name: _errors(group, name) for name in COSTS}


def _errors(group: pd.DataFrame, cost: str) -> dict[str, dict[int, float]]:
    """Return the mean error over the common range of a cost, by method and seed."""
    by_method: dict[str, dict[int, float]] = {}
    for number, seed in group.groupby("seed"):
        known = seed[(seed[cost] > 0) & seed["test_error"].notna()]
        curves = {
            str(method): own.groupby(cost)["test_error"].mean()
            for method, own in known.groupby("method")
        }
        ranges = [curve.index for curve in curves.values() if len(curve) > 1]
        if not ranges:
            continue
        low, high = max(r.min() for r in ranges), min(r.max() for r in ranges)
        if low > high:
            continue
        at = np.linspace(np.log(low), np.log(high), POINTS)
        for method, curve in curves.items():
            shares = np.log(curve.index.to_numpy(float))
            if len(curve) > 1:
                error = float(np.interp(at, shares, curve.to_numpy(float)).mean())
                by_method.setdefault(method, {})[int(str(number))] = error
    return by_method
