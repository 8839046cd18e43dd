"""How two or three columns of numbers go together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import Floats

POINTS = 3  # two points always lie on a line
CELLS = 5  # fewer leave a partial correlation no freedom


def ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing their mean rank."""
    return np.asarray(pd.Series(values, dtype=float).rank(), dtype=np.float64)


def spearman(x: Floats, y: Floats) -> float:
    """Rank correlation (Spearman 1904); NaN below POINTS points and where one does not change."""
    if len(x) < POINTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def slope(x: Floats, y: Floats) -> float:
    """Least-squares slope of y over x; NaN where x does not change or a value is missing."""
    if len(x) < 2 or np.ptp(x) == 0:
        return np.nan
    away = x - x.mean()
    return float(away @ (y - y.mean()) / (away @ away))


def partial_spearman(x: Floats, y: Floats, z: Floats) -> float:
    """Rank correlation of x and y given z: r_xy·z = (r_xy − r_xz r_yz) / √((1 − r_xz²)(1 − r_yz²)).

    Of ranks all three. The plain one where z does not change. NaN below CELLS cells, where x or y
    does not change, and where z explains one of them wholly.
    """
    plain = spearman(x, y)
    if len(x) < CELLS or np.isnan(plain):
        return np.nan
    if np.ptp(z) == 0:
        return plain
    r_xz, r_yz = spearman(x, z), spearman(y, z)
    rest = (1 - r_xz**2) * (1 - r_yz**2)
    if rest < 1e-9:
        return np.nan
    return float(np.clip((plain - r_xz * r_yz) / np.sqrt(rest), -1, 1))
