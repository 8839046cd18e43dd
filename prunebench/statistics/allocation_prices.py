"""Allocations that differ in nothing else: their errors at equal cost, and what finding them took.

Equal cost is an equal share of the weights, of the MACs or of the measured time that is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.training_outcomes import column
from prunebench.storage.records import COLLAPSED, OK

SHARED = ("criterion", "pattern", "schedule", "recovery", "recovery_length")
PRICES = ("search_evaluations", "search_epochs", "prune_seconds")
_COUNTED = ("sparsity_achieved", "macs_kept", "macs_dense", "latency_ms", "latency_dense_ms")
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
    mean is taken. A method with a single cell, as one with a budget has, is no curve: its errors
    are empty, and its price stands alone.

    Args:
        cells: the records. A cell that collapsed counts.

    Returns:
        A row a setting, group and method that has other allocations beside it: SETTING, SHARED,
        ``method``, ``allocation``, ``seeds``, an error in [0, 1] for each of COSTS (empty where it
        was not measured or no range is common), and the means of PRICES.
    """
    wanted = [*cells.columns, "allocation", *SHARED, *PRICES, *_COUNTED]  # others' tables lack some
    cells = cells.reindex(columns=list(dict.fromkeys(wanted)))
    usable = cells[cells["status"].isin([OK, COLLAPSED]) & cells["allocation"].notna()]
    counted = pd.DataFrame({name: column(usable, name) for name in _COUNTED})
    usable = usable.assign(
        **{name: of(counted) for name, of in COSTS.items()},
        **{name: column(usable, name) for name in PRICES},
        test_error=column(usable, "test_error"),
    )
    found = []
    for key, group in usable.groupby([*SETTING, *SHARED], sort=True):
        if group["allocation"].nunique() < 2:
            continue
        errors = {name: _errors(group, name) for name in COSTS}
        for (method, allocation), own in group.groupby(["method", "allocation"], sort=True):
            row = dict(zip([*SETTING, *SHARED], key, strict=True))
            row |= {"method": method, "allocation": allocation, "seeds": own["seed"].nunique()}
            row |= {name: by.get(str(method), np.nan) for name, by in errors.items()}
            found.append(row | own[list(PRICES)].mean().to_dict())
    columns = [*SETTING, *SHARED, "method", "allocation", "seeds", *COSTS, *PRICES]
    return pd.DataFrame(found, columns=columns)


def _errors(group: pd.DataFrame, cost: str) -> dict[str, float]:
    """Return the mean error over the common range of a cost, by method."""
    by_method: dict[str, list[float]] = {}
    for _, seed in group.groupby("seed"):
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
                by_method.setdefault(method, []).append(error)
    return {method: float(np.mean(errors)) for method, errors in by_method.items()}
