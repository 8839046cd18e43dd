"""Leave failed cells out in pairs, and say how far a cell is from its own dense baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.experiment import training_gate
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.published_results import against_own_dense, origin, others
from prunebench.statistics.sample_error import FLIPS
from prunebench.statistics.training_outcomes import (
    OUTCOME,
    PREFIX,
    column,
    failed_cells,
    outcomes,
)
from prunebench.storage.records import DENSE, STOPPED, UNDER_TRAINED

CLASSES = "classes"  # of the task; tables of others may lack it


def chance_errors(cells: pd.DataFrame) -> pd.Series:
    """Return the error of a constant predictor, 1 − 1/K, per row; NaN where K is not known."""
    if CLASSES not in cells.columns:
        return pd.Series(np.nan, cells.index)
    task = [cells["task"], origin(cells)]
    known = column(cells, CLASSES).groupby(task).transform("max")
    return (1 - 1 / known).where(known >= 2)


def at_chance(cells: pd.DataFrame) -> pd.Series:
    """Return per row whether the network learned nothing, as far as the table tells.

    Its error on the labels trained on is that of a constant predictor, within two standard errors:
    as a dense baseline is refused. Test labels take no part, since choices are made by this.
    """
    chance, samples = chance_errors(cells), column(cells, "train_samples")
    spread = (chance * (1 - chance) / samples).pow(0.5).fillna(0)
    return column(cells, "train_error") > chance - 2 * spread


def choice_error(cells: pd.DataFrame, prefix: str = "") -> pd.Series:
    """Return the validation error that choices are made by, per row, a fraction.

    That of the labels that carry the regime's noise, which is what a practitioner would have, in
    every setting that recorded it; else that of clean labels.

    Args:
        cells: Checked cells.
        prefix: ``PREFIX`` for the stopped states, "" for the last ones.
    """
    noisy = column(cells, f"{prefix}noisy_val_error")
    there = noisy.notna().groupby([cells[axis] for axis in SETTING]).transform("any")
    return noisy.where(there, column(cells, f"{prefix}val_error"))


def counted(cells: pd.DataFrame) -> pd.DataFrame:
    """Return a copy in which a cell that failed has no error: it leaves every comparison.

    Lost, diverged and collapsed cells and those that failed to train are counted, with their exact
    interval, beside the mean of those that trained; one mean of both would be that of neither. A
    baseline or control that failed leaves with all that would be compared with it.

    Args:
        cells: Checked cells.

    Returns:
        The cells with ``failed``, ``unfinished`` (under-trained) and ``chance``; ``at_chance``, 1
        where the network learned nothing, 0 where it did or nothing is known, NaN where it failed;
        ``test_error``, ``val_error`` and ``choice_error``, the validation error that choices are
        made by, NaN where the cell failed; ``choice_error`` also where half or more of the
        trainings at that compression were unfinished, since what validation would choose there is
        training too short; ``octaves``, log₂ of the compression ratio that was achieved: all
        weights over those kept.
        Where a table (of others) does not record it, the target stands in for it.
    """
    cells = cells.copy()
    cells["failed"] = failed_cells(cells)
    cells["chance"] = chance_errors(cells)
    cells["at_chance"] = at_chance(cells).astype(float).mask(cells["failed"])
    cells["choice_error"] = choice_error(cells)
    for name in ("test_error", "val_error", "choice_error"):
        cells[name] = column(cells, name).mask(cells["failed"])
    cells["unfinished"] = ~cells["failed"] & (outcomes(cells) == UNDER_TRAINED)
    cells["choice_error"] = cells["choice_error"].mask(_mostly_unfinished(cells))
    ratio = column(cells, "compression_ratio")
    achieved = np.log2(ratio.where(ratio > 0))
    cells["octaves"] = achieved.fillna(-np.log2(1 - cells["sparsity"].astype(float)))
    return cells


def _mostly_unfinished(cells: pd.DataFrame) -> pd.Series:
    """Return per row whether half or more of the trainings at its compression are unfinished.

    Trainings that failed are not asked. What dense baselines are compared with is their own last
    state, however it came about.
    """
    point = [cells[name] for name in (*SETTING, "method", "sparsity")]
    share = cells["unfinished"].astype(float).mask(cells["failed"]).groupby(point).transform("mean")
    return (share >= 0.5) & (cells["method"] != DENSE)


def as_stopped(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells with the measures of their stopped states in place of the last ones.

    Cells without a stopped state are left out, unless they failed; a last state that stopping
    chose is its own stopped state. All that did not fail is ``stopped``, however its training
    would have ended.
    """
    stopped = [name for name in cells.columns if str(name).startswith(PREFIX)]
    stopped = [name for name in stopped if name.removeprefix(PREFIX) in cells.columns]
    own_state = outcomes(cells) == STOPPED
    made = {
        name.removeprefix(PREFIX): column(cells, name).fillna(
            column(cells, name.removeprefix(PREFIX)).where(own_state)
        )
        for name in stopped
    }
    failed = failed_cells(cells)
    if OUTCOME in cells.columns:
        made[OUTCOME] = cells[OUTCOME].where(failed, STOPPED)
    there = made["test_error"].notna() if "test_error" in made else own_state
    if "test_error" in made:  # a failed cell has no error that counts, and is a record nevertheless
        made["test_error"] = made["test_error"].fillna(column(cells, "test_error").where(failed))
    # flips of the last state say nothing of this one
    unknown = {name: np.nan for name in FLIPS if name in cells.columns and name not in made}
    return cells.assign(**made, **unknown)[there | failed]


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
        kinds = dense["kind"] if "kind" in cells.columns else [None] * len(dense)
        each = zip(dense["train_error"], noisy, plain, map(training_gate.memorizes, kinds),
                   strict=True)  # fmt: skip
        judged = [
            training_gate.under_trained(e, noisy=n, augmented=not p, memorizes=m)
            for e, n, p, m in each
        ]
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

    It is NaN where the cell or the baseline failed: they leave in pairs.

    Args:
        cells: Checked cells; published rows are compared with their own dense ones
            (``against_own_dense``).
        baseline: The method at sparsity 0 to compare with.

    Returns:
        ``counted(cells)`` with ``reference_error`` (a fraction) and ``difference`` (points).
    """
    table = counted(cells)
    key = [*SETTING, "seed"]
    reference = table[(table["method"] == baseline) & (table["sparsity"] == 0)]
    wanted = reference.set_index(key)["test_error"].rename("reference_error")
    table = table.join(wanted, on=key)
    table["difference"] = 100 * (table["test_error"] - table["reference_error"])
    for _, rows in others(table):
        found = against_own_dense(rows)
        for name in ("reference_error", "difference"):
            table.loc[rows.index, name] = found[name]
    return table
