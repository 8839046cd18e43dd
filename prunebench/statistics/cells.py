"""Read the table of cells, refuse what cannot be right, and count what went wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError, suggest
from prunebench.records import COLUMNS, COST, DENSE, IDENTITY, OK, QUALITY, SIZE, STATUSES

TEXT = ("experiment", "task", "regime", "model", "method", "family")
REQUIRED = (*IDENTITY, "status", "test_error")
FRACTIONS = (
    "train_error", "val_error", "test_error", "test_ece", "memorized", "flips", "corrupted_error",
)  # fmt: skip
MEMORIZED_AT = 0.01  # training error below which a baseline has memorized its labels
CLASSES = "classes"  # of the task; tables of others may lack it


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read ``cells.csv``: text as text, numbers as float, missing as NaN, columns all there.

    Only ``REQUIRED`` must be in the file, so that tables of others can be read; other columns of
    the record are added empty, and columns that the record does not know are kept.
    Raises PrunebenchError for a file that is missing, no table, or fails ``check_cells``.
    """
    path = Path(path)
    try:
        # "none" and "NA" are names that a method may have: only an empty field is missing
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise PrunebenchError(f"{path} is not there; run the grid first") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise PrunebenchError(f"{path} is no table of cells: {error}") from error
    _refuse_missing_columns(raw, str(path))
    cells = raw.reindex(columns=[*COLUMNS, *(c for c in raw.columns if c not in COLUMNS)])
    for column in ("seed", "sparsity", *SIZE, *QUALITY, *COST, CLASSES):
        if column in cells.columns:
            cells[column] = _numbers(cells[column], str(path))
    check_cells(cells, str(path))
    cells["seed"] = cells["seed"].astype("int64")
    return cells


def _refuse_missing_columns(table: pd.DataFrame, where: str) -> None:
    """Raise PrunebenchError that names what is missing and the nearest column there is."""
    missing = [column for column in REQUIRED if column not in table.columns]
    if missing:
        there = set(map(str, table.columns)) - set(COLUMNS)
        hint = suggest(missing[0], there) if there else ""
        raise PrunebenchError(f"{where} lacks the column(s) {', '.join(missing)}{hint}")


def _numbers(values: pd.Series, where: str) -> pd.Series:
    """Parse as float64; raise PrunebenchError that shows the first text that is no number."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = numbers.isna() & values.notna() & (values.astype(str).str.lower() != "nan")
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise PrunebenchError(
            f"{where}: {values.name} must be a number, row {line + 2} has {values.iloc[line]!r}"
        )
    return numbers


def check_cells(cells: pd.DataFrame, where: str = "cells") -> None:
    """Raise PrunebenchError for a table that would give wrong figures without a word.

    Missing columns, no rows, unknown status, percentages for fractions, a cell recorded twice,
    a method in two families, several experiments in one table, an ``ok`` cell without its error.
    """
    _refuse_missing_columns(cells, where)
    if cells.empty:
        raise PrunebenchError(f"{where} has no rows")
    for column in (*IDENTITY, "status"):
        if cells[column].isna().any():
            raise PrunebenchError(
                f"{where}: {column} is empty in {cells[column].isna().sum()} rows"
            )
    unknown = set(cells["status"]) - set(STATUSES)
    if unknown:
        raise PrunebenchError(
            f"{where}: unknown status {min(unknown)!r}{suggest(min(unknown), STATUSES)}"
        )
    _check_units(cells, where)
    _check_identity(cells, where)
    lost = cells[(cells["status"] == OK) & cells["test_error"].isna()]
    if len(lost):
        raise PrunebenchError(f"{where}: {_name(lost.iloc[0])} is ok but has no test_error")


def _check_units(cells: pd.DataFrame, where: str) -> None:
    """Refuse sparsities outside [0,1), seeds that are no whole numbers, errors outside [0,1]."""
    sparsity = cells["sparsity"].to_numpy(float)
    if not ((sparsity >= 0) & (sparsity < 1)).all():
        raise PrunebenchError(
            f"{where}: sparsity must be a fraction in [0,1), found {sparsity.max():g};"
            " is it a percentage, or a compression ratio?"
        )
    if not (cells["seed"] == cells["seed"].round()).all():
        raise PrunebenchError(f"{where}: seed must be a whole number")
    for column in FRACTIONS:
        if column not in cells.columns:
            continue
        values = cells[column].to_numpy(float)
        wrong = (values < 0) | (values > 1)  # NaN is neither
        if wrong.any():
            raise PrunebenchError(
                f"{where}: {column} must be a fraction in [0,1], found {values[wrong][0]:g};"
                " divide percentages by 100"
            )


def _check_identity(cells: pd.DataFrame, where: str) -> None:
    """Refuse twice the same cell, two families of a method, two experiments, a pruned dense."""
    key = [column for column in IDENTITY if column != "family"]
    twice = cells[cells.duplicated(key)]
    if len(twice):
        raise PrunebenchError(f"{where}: {_name(twice.iloc[0])} is there more than once")
    for column, what in (("family", "method"), ("experiment", None)):
        many = cells.groupby(what)[column].nunique() if what else [cells[column].nunique()]
        if max(many) > 1:
            values = ", ".join(sorted(map(str, cells[column].unique()))[:5])
            of = "a method stands in two families" if what else "several experiments in one table"
            raise PrunebenchError(f"{where}: {of} ({values}); give one")
    if ((cells["method"] == DENSE) & (cells["sparsity"] != 0)).any():
        raise PrunebenchError(f"{where}: the dense baseline has sparsity 0, found a pruned one")


def _name(row: pd.Series) -> str:
    parts = [str(row[column]) for column in ("task", "regime", "model", "method")]
    return f"{'/'.join(parts)} seed {row['seed']:g} sparsity {row['sparsity']:g}"


def chance_errors(cells: pd.DataFrame) -> pd.Series:
    """The error that a cell without predictions counts as, per row, a fraction.

    A constant predictor: 1 − 1/K where ``classes`` is there. Without it K is not known; then the
    largest test error measured on that task, at least 0.5 (two classes), so that no failed cell
    does better than a finished one.
    """
    worst = cells.groupby("task")["test_error"].transform("max").fillna(0.5).clip(lower=0.5)
    if CLASSES not in cells.columns:
        return worst
    known = cells[CLASSES].astype("float64").groupby(cells["task"]).transform("max")
    return (1 - 1 / known).where(known >= 2, worst)


def counted(cells: pd.DataFrame) -> pd.DataFrame:
    """A copy in which test_error and val_error are what the statistics count.

    ``failed`` and ``diverged`` count as a constant predictor. So does ``collapsed`` unless it was
    measured: in a network with skip connections a removed layer need not be the end.
    A lost baseline has no error, and its seed takes no part: as a constant predictor it would
    make pruning look good.
    """
    cells = cells.copy()
    chance = chance_errors(cells)
    pruned = cells["method"] != DENSE
    lost = pruned & cells["status"].isin(["failed", "diverged"])
    for column in ("test_error", "val_error"):
        if column not in cells.columns:
            cells[column] = np.nan
        absent = lost | (pruned & (cells["status"] != OK) & cells[column].isna())
        cells[column] = cells[column].astype("float64").mask(absent, chance)
    broken = ~pruned & cells["status"].isin(["failed", "diverged"])
    cells.loc[broken, ["test_error", "val_error"]] = np.nan
    return cells


def under_trained(cells: pd.DataFrame) -> pd.Series:
    """Per row: does it stand on a baseline that had not memorized its noisy labels?

    A noise regime is one whose baseline has a ``memorized`` value; there its training error must
    be at most ``MEMORIZED_AT`` (a fraction). A message that says ``under-trained`` counts as well.
    """
    group = ["task", "regime", "model", "seed"]
    dense = cells[cells["method"] == DENSE]
    late = pd.Series(False, index=dense.index)
    if {"memorized", "train_error"} <= set(cells.columns):
        late |= dense["memorized"].notna() & (dense["train_error"] > MEMORIZED_AT)
    said = pd.Series(False, index=cells.index)
    if "message" in cells.columns:
        said |= (
            cells["message"].astype("string").str.contains("under-trained", na=False).astype(bool)
        )
    flagged = set(dense.loc[late, group].itertuples(index=False, name=None))
    keys = cells[group].itertuples(index=False, name=None)
    return said | pd.Series([key in flagged for key in keys], index=cells.index)
