"""Means over seeds with their bands, for figures and tables, and the choice on validation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import t_quantile
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import counted
from prunebench.statistics.own_and_published import COLUMN, origin, others, own
from prunebench.statistics.published_results import against_own_dense
from prunebench.storage.records import DENSE, OK

POINT = [*SETTING, "method", "family", "sparsity"]  # a cell, seeds apart


def bands(cells: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row per setting, method and sparsity: mean, std, 95 % band over seeds, and n, of columns.

    Named ``<column>_mean|_std|_low|_high|_n``; in the unit of the column. The band is Student's t
    interval of the mean, NaN with one seed. Errors are those that count: a failed cell is a
    constant predictor. ``failed``: how many of the ``cells`` are not ok. ``nominal``: 1/(1 − s).
    ``published``: whose result it is; empty in what was run here.
    """
    table = counted(cells).astype(dict.fromkeys(columns, "float64"))
    grouped = table.groupby(POINT, sort=True)
    made = {
        "cells": grouped.size(),
        "failed": (table["status"] != OK).groupby([table[c] for c in POINT]).sum(),
    }
    whose = origin(table).groupby([table[c] for c in POINT]).first()
    for column in columns:
        values = grouped[column]
        mean, std, n = values.mean(), values.std(ddof=1), values.count()
        half = t_quantile(np.asarray(n, dtype=float) - 1) * std / np.sqrt(n.clip(lower=1))
        made |= {
            f"{column}_mean": mean, f"{column}_std": std, f"{column}_n": n,
            f"{column}_low": mean - half, f"{column}_high": mean + half,
        }  # fmt: skip
    made[COLUMN] = whose.where(whose != "", None)
    result = pd.DataFrame(made).reset_index()
    result["nominal"] = 1 / (1 - result["sparsity"])
    return result


def paired_difference(cells: pd.DataFrame, baseline: str = DENSE) -> pd.DataFrame:
    """The cells with ``difference``: test error minus that of the same seed's baseline, in points.

    NaN where the baseline was not finished. Published rows are compared with their own dense ones
    (``against_own_dense``).
    """
    table = counted(cells, baseline)
    key = [*SETTING, "seed"]
    reference = table[(table["method"] == baseline) & (table["sparsity"] == 0)]
    wanted = reference.set_index(key)["test_error"].rename("reference_error")
    table = table.join(wanted, on=key)
    table["difference"] = 100 * (table["test_error"] - table["reference_error"])
    for _, rows in others(table):
        found = against_own_dense(rows)
        for column in ("reference_error", "difference"):
            table.loc[rows.index, column] = found[column]
    return table


def best_on_validation(cells: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """For each group ``by`` the method and sparsity with the lowest mean validation error.

    Beside it the test difference to dense at that point, in points: chosen on validation, read on
    test. Ties go to the sparser. Groups without validation errors are left out, and what others
    published: their validation sets are not one's own.
    """
    table = paired_difference(own(cells))
    table = table[table["method"] != DENSE]
    extra = [column for column in ("method", "sparsity") if column not in by]
    means = table.groupby([*by, *extra])[["val_error", "difference"]].mean().reset_index()
    means = means.dropna(subset=["val_error"])
    means["val_error"] = means["val_error"].round(9)
    means = means.sort_values(
        ["val_error", "sparsity", *by, *extra],
        ascending=[True, False, *(True for _ in [*by, *extra])],
    )
    return means.groupby(by, sort=True).head(1).sort_values(by).reset_index(drop=True)
