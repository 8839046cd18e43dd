"""Count how trainings ended: to their end, on a plateau, not finished, failed, or lost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import flags
from prunebench.statistics.published_results import own
from prunebench.statistics.training_outcomes import exact_interval, outcomes
from prunebench.storage.records import FAILED_TO_TRAIN, OK, STOPPED, TRAINED_OUT, UNDER_TRAINED

# of a cell, each exclusive of the others: its training came to its end below the gate's training
# error, or on a plateau above it; the rest as in the column training_outcome; not ok; not known
LEARNED, PLATEAU, LOST, UNKNOWN = "learned", "plateau", "lost", "unknown"
KINDS = (LEARNED, PLATEAU, UNDER_TRAINED, FAILED_TO_TRAIN, STOPPED, LOST, UNKNOWN)


def kinds(cells: pd.DataFrame) -> pd.Series:
    """Return which of KINDS each cell is of."""
    how = outcomes(cells)
    above = flags(cells.reindex(columns=["plateau"])["plateau"]).fillna(False)
    learned = pd.Series(LEARNED, cells.index, dtype=object).mask(above.astype(bool), PLATEAU)
    said = how.where(how != TRAINED_OUT, learned).where(how != "", UNKNOWN)
    return said.mask(cells["status"] != OK, LOST)


def outcome_shares(cells: pd.DataFrame, by: Sequence[str] = (*SETTING, "method")) -> pd.DataFrame:
    """Return how many cells of each kind there are, and the share whose training failed.

    Args:
        cells: Checked cells; published results take no part.
        by: Columns that name a row of the result.

    Returns:
        ``by``; ``cells``; a count for each of KINDS; ``failed``: the share that failed to train or
        was lost (diverged, collapsed, not finished), with the ends of its exact 95 % interval
        ``failed_low`` and ``failed_high`` (Clopper and Pearson 1934).
    """
    cells = own(cells)
    keys = [cells[name] for name in by]
    made = pd.get_dummies(kinds(cells)).reindex(columns=list(KINDS), fill_value=False)
    counts = made.groupby(keys, sort=True).sum().astype(int)
    found = counts.assign(cells=counts.sum(axis=1))
    failed = found[FAILED_TO_TRAIN] + found[LOST]
    found["failed"] = failed / found["cells"]
    ends = [exact_interval(int(f), int(n)) for f, n in zip(failed, found["cells"], strict=True)]
    found["failed_low"], found["failed_high"] = zip(*ends, strict=True)
    return found.reset_index()[[*by, "cells", *KINDS, "failed", "failed_low", "failed_high"]]
