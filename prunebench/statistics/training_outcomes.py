"""Tell which cells failed, which were trained to the end, and how many of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import betaincinv

from prunebench.statistics.bootstrap import LEVEL
from prunebench.storage import layout
from prunebench.storage.records import FAILED_TO_TRAIN, OK, STOPPED, TRAINED_OUT, UNDER_TRAINED

OUTCOME = "training_outcome"
PREFIX = layout.STOPPED  # of the measures at the epoch that noisy validation chose


def outcomes(cells: pd.DataFrame) -> pd.Series:
    """Return how each cell's training ended, as text; "" where the table does not say."""
    if OUTCOME not in cells.columns:
        return pd.Series("", cells.index, dtype=object)
    return cells[OUTCOME].astype(object).where(cells[OUTCOME].notna(), "")


def outcomes_recorded(cells: pd.DataFrame) -> bool:
    """Return whether the records say of any cell how its training ended."""
    return bool((outcomes(cells) != "").any())


def failed_cells(cells: pd.DataFrame) -> pd.Series:
    """Return per row whether its training failed: lost, collapsed, or far from its own labels."""
    return (cells["status"] != OK) | (outcomes(cells) == FAILED_TO_TRAIN)


def trained_out(cells: pd.DataFrame) -> pd.Series:
    """Return per row whether its last state is one of a training that came to its end.

    A state that stopping chose is no such state. Tables that say nothing of how trainings ended
    are taken as they are: every cell that did not fail counts.
    """
    fine = ~failed_cells(cells)
    return fine & (outcomes(cells) == TRAINED_OUT) if outcomes_recorded(cells) else fine


def why_not_trained_out(cells: pd.DataFrame) -> pd.Series:
    """Return per row why ``trained_out`` leaves it out, in words; "" where it does not."""
    how = outcomes(cells)
    said = how.map({UNDER_TRAINED: "under-trained", STOPPED: "stopped early"}).fillna(
        "of an unknown outcome"
    )
    return said.mask(failed_cells(cells), "failed").mask(trained_out(cells), "")


def column(cells: pd.DataFrame, name: str) -> pd.Series:
    """Return a column as numbers; NaN where the table lacks it."""
    if name not in cells.columns:
        return pd.Series(np.nan, cells.index)
    return pd.to_numeric(cells[name], errors="coerce").astype("float64")


def exact_interval(failed: int, cells: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share of failures (Clopper and Pearson 1934).

    Args:
        failed: How many failed.
        cells: Of how many; without any the share is not known and the ends are NaN.
    """
    # scipy.stats.binomtest gives the same, and takes a second to import
    if not cells:
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low = betaincinv(failed, cells - failed + 1, tail) if failed else 0.0
    high = betaincinv(failed + 1, cells - failed, 1 - tail) if failed < cells else 1.0
    return float(low), float(high)
