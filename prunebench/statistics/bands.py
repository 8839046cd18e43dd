"""Average columns over seeds, with their bands, for figures and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import t_quantile
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.counted_cells import counted
from prunebench.statistics.published_results import COLUMN, origin

POINT = [*SETTING, "method", "family", "sparsity"]  # a cell, seeds apart


def bands(cells: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Average columns over seeds: one row per setting, method and sparsity.

    Cells that failed have no error: the means are of those that trained.

    Args:
        cells: Checked cells.
        columns: The numbers to average.

    Returns:
        ``<column>_mean``, ``_std``, ``_low``, ``_high`` and ``_n``, in the unit of the column; low
        and high are Student's 95 % interval of the mean, NaN with one seed. ``cells``: how many
        there are, ``failed``: how many of them failed. ``nominal``: 1/(1 − sparsity).
        ``published``: the source of published results; empty in what was run here.
    """
    columns = list(dict.fromkeys(columns))
    found, whose = counted(cells), origin(cells)
    table = found[[*POINT, "failed", *columns]].astype(dict.fromkeys(columns, "float64"))
    table["whose"] = whose.where(whose != "", None)
    grouped = table.groupby(POINT, sort=True)
    made = {"cells": grouped.size(), "failed": grouped["failed"].sum()}
    # all columns at once: pandas looks at each group for each call
    values = grouped[columns]
    means, stds, counts = values.mean(), values.std(ddof=1), values.count()
    for column in columns:
        mean, std, n = means[column], stds[column], counts[column]
        half = t_quantile(np.asarray(n, dtype=float) - 1) * std / np.sqrt(n.clip(lower=1))
        made |= {
            f"{column}_mean": mean, f"{column}_std": std, f"{column}_n": n,
            f"{column}_low": mean - half, f"{column}_high": mean + half,
        }  # fmt: skip
    made[COLUMN] = grouped["whose"].first()
    result = pd.DataFrame(made).reset_index()
    result["nominal"] = 1 / (1 - result["sparsity"])
    return result
