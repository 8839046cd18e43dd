"""Weigh error against cost: Pareto fronts, and pruning, quantizing or both at equal bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import flags
from prunebench.statistics.counted_cells import counted
from prunebench.statistics.published_results import own
from prunebench.storage.records import DENSE

PRUNED, QUANTIZED, BOTH = "prune", "quantize", "both"
HALVINGS = 7  # budgets: the dense file's bytes over 2, 4, ... 2^HALVINGS


def pareto_front(costs: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points no other one beats, by costing and erring at most as much, one less.

    Of points that are the same in both all belong to the front. NaN never does.
    """
    order = np.lexsort((errors, costs))
    best, found = np.inf, np.zeros(len(costs), dtype=bool)
    last = (np.nan, np.nan)
    for place in order:
        point = (costs[place], errors[place])
        if np.isnan(point).any():
            continue
        found[place] = point[1] < best or point == last
        if found[place]:
            best, last = point[1], point
    return found


def small_networks(cells: pd.DataFrame) -> pd.DataFrame:
    """List the networks that pruning, quantizing, or both make of one's own cells.

    Returns:
        A row per network: SETTING, ``method``, ``sparsity``, ``seed``, ``val_error``; ``way``:
        PRUNED (single precision), QUANTIZED (the dense network in 8 bits) or BOTH; ``error`` (a
        fraction) and ``bytes`` (of the ONNX file behind zstd). Controls are left out. Empty without
        cells in 8 bits.
    """
    table = counted(own(cells))
    table = table[table["bytes_quantized"].notna()]
    dense = (table["method"] == DENSE) & (table["sparsity"] == 0)
    control = flags(table["control"]).fillna(False).astype(bool)
    pruned = table[~dense & ~control]
    parts = (
        (PRUNED, pruned, "test_error", "bytes_onnx"),
        (QUANTIZED, table[dense], "quantized_error", "bytes_quantized"),
        (BOTH, pruned, "quantized_error", "bytes_quantized"),
    )
    columns = [*SETTING, "method", "sparsity", "seed", "val_error"]
    made = [
        rows[columns].assign(way=way, error=rows[error], bytes=rows[size])
        for way, rows, error, size in parts
    ]
    return pd.concat(made, ignore_index=True).dropna(subset=["error", "bytes"])


def at_equal_bytes(cells: pd.DataFrame) -> pd.DataFrame:
    """Choose the best network of each way to shrink it within budgets of bytes.

    A budget is the dense ONNX file's bytes (mean over seeds) over a power of two, ``ratio``. Of
    the networks whose mean size is within it the one with the lowest mean validation error (in
    single precision, ties to the smaller) is chosen.

    Returns:
        A row per setting, budget and way that has a network within it: ``method``, ``sparsity``,
        ``bytes``, ``error_mean``, ``error_std`` (fractions), ``n``, and ``first``: whether no other
        way's error is as low.
    """
    points = small_networks(cells)
    if points.empty:
        return pd.DataFrame()
    key = [*SETTING, "way", "method", "sparsity"]
    grouped = points.groupby(key)
    means = grouped[["error", "bytes", "val_error"]].mean()
    means["std"], means["n"] = grouped["error"].std(ddof=1), grouped.size()
    means = means.reset_index()
    dense = own(cells)[lambda table: (table["method"] == DENSE) & (table["sparsity"] == 0)]
    whole = dense.groupby(SETTING)["bytes_onnx"].mean()
    rows = []
    for setting, inside in means.groupby(SETTING, sort=True):
        for halving in range(1, HALVINGS + 1):
            fits = inside[inside["bytes"] <= whole[setting] / 2**halving]
            chosen = fits.sort_values(["val_error", "bytes"]).groupby("way", sort=True).head(1)
            if not chosen.empty:
                least = chosen["error"].min()
                alone = (chosen["error"] == least).sum() == 1
                rows.append(
                    chosen.assign(
                        ratio=2**halving, budget=whole[setting] / 2**halving,
                        first=(chosen["error"] == least) & alone,
                    )
                )  # fmt: skip
    found = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    return found.rename(columns={"error": "error_mean", "std": "error_std"})
