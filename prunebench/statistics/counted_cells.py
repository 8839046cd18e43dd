"""Decide which error each cell counts with, and how far it is from its own dense baseline's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.experiment import training_gate
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.published_results import against_own_dense, origin, others
from prunebench.storage.records import DENSE, DIVERGED, FAILED, OK

CLASSES = "classes"  # of the task; tables of others may lack it


def chance_errors(cells: pd.DataFrame) -> pd.Series:
    """Return the error that a cell without predictions counts as, per row, a fraction.

    That of a constant predictor: 1 − 1/K where ``classes`` is there. Without it K is not known;
    then the largest test error measured on that task, at least 0.5 (two classes), so that no failed
    cell does better than a finished one. Published rows and one's own do not influence each other.
    """
    task = [cells["task"], origin(cells)]
    worst = cells["test_error"].groupby(task).transform("max").fillna(0.5).clip(lower=0.5)
    if CLASSES not in cells.columns:
        return worst
    known = cells[CLASSES].astype("float64").groupby(task).transform("max")
    return (1 - 1 / known).where(known >= 2, worst)


def counted(cells: pd.DataFrame, baseline: str = DENSE) -> pd.DataFrame:
    """Return a copy in which test_error and val_error are those that the statistics use.

    ``failed`` and ``diverged`` count as a constant predictor, whatever number stands there.
    ``collapsed`` counts as its own measured error, and as a constant predictor where it has none:
    a network that lost a layer is a constant predictor, and is measured as one, unless it has a
    way past that layer (skip connections). Then it works, and chance would be a made-up figure.
    A measured error above chance stays, too. Either way the cell counts, and is in ``failed``.
    A lost baseline has no error, and its seed takes no part: as a constant predictor it would make
    pruning look good.

    Args:
        cells: Checked cells.
        baseline: The method that others are compared with. Its cells at sparsity 0, and those of
            dense, are baselines.
    """
    cells = cells.copy()
    chance = chance_errors(cells)
    still = (cells["method"] == baseline) & (cells["sparsity"] == 0)
    pruned = (cells["method"] != DENSE) & ~still
    lost = pruned & cells["status"].isin([FAILED, DIVERGED])
    for column in ("test_error", "val_error"):
        if column not in cells.columns:
            cells[column] = np.nan
        absent = lost | (pruned & (cells["status"] != OK) & cells[column].isna())
        cells[column] = cells[column].astype("float64").mask(absent, chance)
    broken = ~pruned & cells["status"].isin([FAILED, DIVERGED])
    cells.loc[broken, ["test_error", "val_error"]] = np.nan
    return cells


def under_trained(cells: pd.DataFrame) -> pd.Series:
    """Tell, per row, whether its baseline was not trained until it fits its training set.

    The rule is that of ``experiment.training_gate``; a noise regime is one whose baseline has a
    ``memorized`` value. A message that says ``under-trained`` counts too. Published rows are never
    under-trained: nothing is known of them.
    """
    group = [*SETTING, "seed"]
    dense = cells[cells["method"] == DENSE]
    late = pd.Series(False, index=dense.index)
    if {"memorized", "train_error"} <= set(cells.columns):
        plain = late
        if "augmentation" in cells.columns:
            plain = dense["augmentation"].eq(False).fillna(False).astype(bool)
        noisy = dense["memorized"].notna()
        each = zip(dense["train_error"], noisy, plain, strict=True)
        judged = [training_gate.under_trained(e, noisy=n, augmented=not p) for e, n, p in each]
        late = pd.Series(judged, index=dense.index, dtype=bool)
    said = pd.Series(False, index=cells.index)
    if "message" in cells.columns:
        said |= (
            cells["message"].astype("string").str.contains("under-trained", na=False).astype(bool)
        )
    flagged = set(dense.loc[late, group].itertuples(index=False, name=None))
    keys = cells[group].itertuples(index=False, name=None)
    found = said | pd.Series([key in flagged for key in keys], index=cells.index)
    return found & (origin(cells) == "")


def paired_difference(cells: pd.DataFrame, baseline: str = DENSE) -> pd.DataFrame:
    """Add ``difference`` to the counted cells: test error minus that of the seed's baseline.

    Args:
        cells: Checked cells; published rows are compared with their own dense ones
            (``against_own_dense``).
        baseline: The method at sparsity 0 to compare with.

    Returns:
        ``counted(cells)`` with ``reference_error`` (a fraction) and ``difference`` (points), NaN
        where the baseline was not finished.
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
