"""Read the table of cells, refuse what cannot be right, and count what went wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError, printable, suggest
from prunebench.statistics.own_and_published import origin
from prunebench.storage.records import (
    COLUMNS,
    COST,
    DENSE,
    DIVERGED,
    FAILED,
    IDENTITY,
    MEMORIZED_AT,
    OK,
    QUALITY,
    REGIME,
    SIZE,
    STATUSES,
)
from prunebench.text import safe_names

TEXT = ("experiment", "task", "regime", "model", "method", "family")
REQUIRED = (*IDENTITY, "status", "test_error")
FLAGS = ("control", "augmentation")
WORDS = ("noise", "augmentation")  # of REGIME; the rest of it are numbers
NUMBERS = (
    "seed", "sparsity", "classes", *(c for c in REGIME if c not in WORDS), *SIZE, *QUALITY, *COST,
)  # fmt: skip
SHARES = ("test_ece", "memorized", "recovered", "flips", "flips_to_wrong", "flips_to_right")
FRACTIONS = (*(column for column in QUALITY if column.endswith("_error")), *SHARES, "label_noise")
MOST_COLUMNS = 1000
CLASSES = "classes"  # of the task; tables of others may lack it


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read ``cells.csv``: text as text, numbers as float, missing as NaN, columns all there.

    ``control`` and ``augmentation`` are True, False or missing (pandas' boolean).
    Only ``REQUIRED`` must be in the file; other columns of the record are added empty, and columns
    that the record does not know are kept.
    Raises PrunebenchError for a file that is missing, no table, or fails ``check_cells``.
    """
    return typed(read_text(path, "; run the grid first"), str(path))


def read_text(path: str | Path, hint: str = "") -> pd.DataFrame:
    """Read a CSV file, every field as text.

    Raises PrunebenchError for what is no table, and, with ``hint``, for what is missing.
    """
    try:
        # "none" and "NA" are names that a method may have: only an empty field is missing
        # -sig: spreadsheets put a byte-order mark before the first column's name
        # what is compressed could be a thousand times as large as its file
        raw = pd.read_csv(
            path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig",
            compression=None,
        )  # fmt: skip
    except (FileNotFoundError, IsADirectoryError):
        raise PrunebenchError(f"{path} is not there{hint}") from None
    except (OSError, ValueError) as error:  # pandas' own errors, and text that is not UTF-8
        raise PrunebenchError(f"{path} is no table of cells: {error}") from error
    if len(raw.columns) > MOST_COLUMNS:
        raise PrunebenchError(f"{path} is no table of cells: it has {len(raw.columns):,} columns")
    raw = raw.rename(columns=printable)
    for column in raw.columns.difference(list(NUMBERS)):  # of numbers there may be millions
        raw[column] = raw[column].map(printable, na_action="ignore").astype(raw[column].dtype)
    return raw


def typed(raw: pd.DataFrame, where: str) -> pd.DataFrame:
    """The checked cells of a table of text, as ``read_cells`` describes them."""
    _refuse_missing_columns(raw, where)
    cells = raw.reindex(columns=[*COLUMNS, *(c for c in raw.columns if c not in COLUMNS)])
    for column in NUMBERS:
        cells[column] = _numbers(cells[column], where)
    for column in FLAGS:
        cells[column] = flags(cells[column], where)
    check_cells(cells, where)
    for column in TEXT:
        safe_names.check(cells[column].unique(), column, where)
    cells["seed"] = cells["seed"].astype("int64")
    return cells.copy()  # in one piece: a hundred columns were set one by one


def flags(values: pd.Series, where: str = "cells") -> pd.Series:
    """Read True and False, in text or not, as pandas' boolean; missing stays missing."""
    text = values.astype("string").str.strip().str.lower()
    known = text.map(
        {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    )
    wrong = (known.isna() & text.notna()).to_numpy(bool)
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise PrunebenchError(
            f"{where}: {values.name} must be True or False, row {line + 2} has"
            f" {values.iloc[line]!r}"
        )
    return known.astype("boolean")


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
    does better than a finished one. Published rows and one's own know nothing of each other.
    """
    task = [cells["task"], origin(cells)]
    worst = cells["test_error"].groupby(task).transform("max").fillna(0.5).clip(lower=0.5)
    if CLASSES not in cells.columns:
        return worst
    known = cells[CLASSES].astype("float64").groupby(task).transform("max")
    return (1 - 1 / known).where(known >= 2, worst)


def counted(cells: pd.DataFrame, baseline: str = DENSE) -> pd.DataFrame:
    """A copy in which test_error and val_error are what the statistics count.

    ``failed`` and ``diverged`` count as a constant predictor, whatever number stands there.
    ``collapsed`` counts as its own measured error, and as a constant predictor where it has none:
    a network that lost a layer is a constant predictor, and is measured as one, unless it has a
    way past that layer (skip connections). Then it works, and chance would be a made-up figure.
    A measured error above chance stays, too. Either way the cell counts, and is in ``failed``.
    A lost baseline (dense, or a ``baseline`` that is not pruned) has no error, and its seed takes
    no part: as a constant predictor it would make pruning look good.
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
    """Per row: does it stand on a baseline that was not trained to interpolation?

    Its training error must be at most ``MEMORIZED_AT`` (a fraction) in a noise regime, which is one
    whose baseline has a ``memorized`` value, and in one without augmentation: gains over a network
    that has not even learned its training set are spurious there as well. A message that says
    ``under-trained`` counts too. Of published rows nothing is known.
    """
    group = ["task", "regime", "model", "seed"]
    dense = cells[cells["method"] == DENSE]
    late = pd.Series(False, index=dense.index)
    if {"memorized", "train_error"} <= set(cells.columns):
        expected = dense["memorized"].notna()
        if "augmentation" in cells.columns:
            expected |= dense["augmentation"].eq(False).fillna(False).astype(bool)
        late |= expected & (dense["train_error"] > MEMORIZED_AT)
    said = pd.Series(False, index=cells.index)
    if "message" in cells.columns:
        said |= (
            cells["message"].astype("string").str.contains("under-trained", na=False).astype(bool)
        )
    flagged = set(dense.loc[late, group].itertuples(index=False, name=None))
    keys = cells[group].itertuples(index=False, name=None)
    found = said | pd.Series([key in flagged for key in keys], index=cells.index)
    return found & (origin(cells) == "")
