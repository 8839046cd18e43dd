"""Measure how two or three columns of numbers go together: by ranks, and by a slope."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import Floats

POINTS = 3  # two points always lie on a line
CELLS = 5  # fewer leave a partial correlation no freedom


def spearman(x: Floats, y: Floats) -> float:
    """Return the rank correlation (Spearman 1904), equal values sharing their mean rank.

    NaN below POINTS points and where one of them does not change.
    """
    return _spearman(x, y)[0, 1]


def _spearman(*columns: Floats) -> Floats:
    """Return the rank correlations of every two columns, (columns, columns)."""
    # pandas' own: scipy.stats has the same, but takes a second of every report to import
    table = pd.DataFrame(np.column_stack(columns))
    return table.corr(method="spearman", min_periods=POINTS).to_numpy()


def slope(x: Floats, y: Floats) -> float:
    """Return the least-squares slope of y over x; NaN where x does not change or a value is NaN."""
    if len(x) < 2 or np.ptp(x) == 0:
        return np.nan
    away = x - x.mean()
    return float(away @ (y - y.mean()) / (away @ away))


def partial_spearman(x: Floats, y: Floats, z: Floats) -> float:
    """Return the rank correlation of x and y given z.

    r_xy·z = (r_xy − r_xz r_yz) / √((1 − r_xz²)(1 − r_yz²)), of ranks all three. Where z does not
    change it is the plain one. NaN below CELLS cells, where x or y does not change, and where z
    explains one of them wholly.
    """
    if len(x) < CELLS:
        return np.nan
    if np.ptp(z) == 0:
        return spearman(x, y)
    ranks = _spearman(x, y, z)
    r_xy, r_xz, r_yz = ranks[0, 1], ranks[0, 2], ranks[1, 2]
    rest = (1 - r_xz**2) * (1 - r_yz**2)
    if not rest >= 1e-9:
        return np.nan
    return float(np.clip((r_xy - r_xz * r_yz) / np.sqrt(rest), -1, 1))
