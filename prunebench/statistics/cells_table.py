"""Read a table of cells, one's own or one of others, and refuse what cannot be right."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError, printable, suggest
from prunebench.storage.files import local, require_plain
from prunebench.storage.records import (
    ALL,
    COLUMNS,
    COST,
    DENSE,
    FAILED,
    IDENTITY,
    OK,
    QUALITY,
    REGIME,
    SIZE,
    STATUSES,
)
from prunebench.text import safe_names

TEXT = ("experiment", "task", "regime", "model", "method", "family")
REQUIRED = (*IDENTITY, "status", "test_error")
FLAGS = ("control", "augmentation", "zero_init_last", "trained_shrunk")
WORDS = ("noise", "augmentation")  # of REGIME; the rest of it are numbers
NUMBERS = (
    "seed", "sparsity", "classes", *(c for c in REGIME if c not in WORDS), *SIZE, *QUALITY, *COST,
)  # fmt: skip
SHARES = (
    "test_ece", "memorized", "recovered", "flips", "flips_to_wrong", "flips_to_right",
    "val_rise_square", "val_flips_to_wrong", "val_flips_to_right",
)  # fmt: skip
FRACTIONS = (
    *(column for column in QUALITY if column.endswith("_error")),
    *SHARES,
    "label_noise",
    "tied_share",
)
MOST_COLUMNS = 1000
AT_ONCE = 1_000_000  # fields that are parsed together
LONGEST_LINE = 1_000_000  # characters of it that are looked at
# a table of others needs these only; ``read_table`` fills in the rest
LEAST = ("method", "sparsity", "test_error")
UNNAMED = "unnamed"
UNKNOWN = "unknown"  # family


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read ``cells.csv``: text as text, numbers as float, missing as NaN, all columns present.

    ``control`` and ``augmentation`` are True, False or missing (pandas' boolean).

    Args:
        path: A CSV file. Only ``REQUIRED`` must be in it; other columns of the record are added
            empty, and columns that the record does not know are kept.

    Returns:
        The checked cells, a row each.

    Raises:
        PrunebenchError: The file is missing, is no table, or fails ``check_cells``.
    """
    return typed(read_text(path, "; run the grid first"), str(path))


def read_table(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Read any tidy CSV that has the columns ``LEAST``, and fill in the others.

    Without ``task``, ``regime`` or ``model`` all rows share one, without ``seed`` likewise, without
    ``experiment`` it is the file's name; without ``status`` a row is ok if it has a test error
    and failed if not. Values that are there are never changed.

    Args:
        path: A CSV file, which prunebench need not have written.

    Returns:
        The checked cells, and a note for each column that was filled in.

    Raises:
        PrunebenchError: As ``read_cells`` does.
    """
    raw = read_text(path)
    _refuse_missing_columns(raw, str(path), LEAST)
    filled: dict[str, tuple[Any, str]] = {
        "experiment": (Path(path).stem, Path(path).stem),
        **{axis: (UNNAMED, f"one {axis} for all rows") for axis in ("task", "regime", "model")},
        "family": (np.where(raw["method"] == DENSE, DENSE, UNKNOWN), UNKNOWN),
        "seed": ("0", "one seed for all rows, so no interval and no test over seeds"),
        "status": (
            np.where(raw["test_error"].notna(), OK, FAILED),
            f"{OK} with a test_error, {FAILED} without",
        ),
    }
    lacking = {column: fill for column, fill in filled.items() if column not in raw.columns}
    notes = [f"no column {column}: {said}" for column, (_, said) in lacking.items()]
    return typed(raw.assign(**{c: value for c, (value, _) in lacking.items()}), str(path)), notes


def read_text(path: str | Path, hint: str = "") -> pd.DataFrame:
    """Read a CSV file, every field as text.

    Args:
        path: The file.
        hint: Appended to the error where there is no file.

    Returns:
        A frame of strings; an empty field is NaN.

    Raises:
        PrunebenchError: The file is missing or is no table.
    """
    require_plain(path)
    try:
        _refuse_endless(path)
        # "none" and "NA" are names that a method may have: only an empty field is missing
        # -sig: spreadsheets put a byte-order mark before the first column's name
        # what is compressed could be a thousand times as large as its file
        raw = pd.read_csv(
            local(path), dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig",
            compression=None,
        )  # fmt: skip
    except (FileNotFoundError, IsADirectoryError):
        raise PrunebenchError(f"{path} is not there{hint}") from None
    except PrunebenchError:
        raise
    except (OSError, ValueError) as error:  # pandas' own errors, and text that is not UTF-8
        raise PrunebenchError(f"{path} is no table of cells: {error}") from error
    raw = raw.rename(columns=printable)
    if raw.columns.has_duplicates:
        twice = raw.columns[raw.columns.duplicated()][0]
        raise PrunebenchError(f"{path}: two columns are shown as {twice!r}; rename one")
    for column in raw.columns.difference(list(NUMBERS)):  # of numbers there may be millions
        raw[column] = raw[column].map(printable, na_action="ignore").astype(raw[column].dtype)
    return raw


def _refuse_endless(path: str | Path) -> None:
    """Raise a ValueError where the first line names too many columns.

    pandas would take half a minute for 100,000 of them.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        lines = iter(lambda: file.readline(LONGEST_LINE), "")
        first = next(filter(str.strip, lines), "")
    with suppress(csv.Error):  # a name as long as a book: pandas may read it
        columns = len(next(csv.reader([first])))
        if columns > MOST_COLUMNS:
            raise ValueError(f"it has {columns:,} columns")


def typed(raw: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the checked cells of a table of text, as ``read_cells`` describes them.

    Args:
        raw: A frame of strings, as ``read_text`` returns it.
        where: Named in errors, usually the file's path.

    Raises:
        PrunebenchError: A text is no number or no flag, or ``check_cells`` refuses the table.
    """
    _refuse_missing_columns(raw, where)
    raw = raw.reindex(columns=[*COLUMNS, *(c for c in raw.columns if c not in COLUMNS)])
    own = [column for column in raw.columns if column not in COLUMNS]  # somebody's own measures
    found: dict[str, Any] = {column: raw[column] for column in raw.columns}
    found |= _numbers(raw[list(NUMBERS)], where)
    found |= {column: flags(raw[column], where) for column in FLAGS}
    found |= {column: _numbers_if_all(raw[column], where) for column in own}
    cells = pd.DataFrame({c: found[c] for c in raw.columns}, index=raw.index)
    check_cells(cells, where)
    for column in TEXT:
        safe_names.check(cells[column].unique(), column, where)
    return cells.astype({"seed": "int64"}).copy()  # one block for each type: pandas is faster


def flags(values: pd.Series, where: str = "cells") -> pd.Series:
    """Read True and False, in text or not, as pandas' boolean; missing stays missing.

    Args:
        values: A named column of booleans, texts such as ``true`` and ``0``, or both.
        where: Named in errors.

    Raises:
        PrunebenchError: A value is neither, with its row.
    """
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


def _refuse_missing_columns(
    table: pd.DataFrame, where: str, required: tuple[str, ...] = REQUIRED
) -> None:
    """Raise PrunebenchError that names what is missing and the nearest column there is."""
    missing = [column for column in required if column not in table.columns]
    if missing:
        hint = suggest(missing[0], set(map(str, table.columns)) - set(COLUMNS))
        raise PrunebenchError(f"{where} lacks the column(s) {', '.join(missing)}{hint}")


def _numbers(raw: pd.DataFrame, where: str) -> dict[str, Any]:
    """Parse every column as float64; refuse with the first text of a column that is no number."""
    columns = list(raw.columns)
    parsed: dict[str, Any] = {}
    width = max(1, AT_ONCE // max(1, len(raw)))  # by hundreds: pandas takes a millisecond for each
    for some in (columns[start : start + width] for start in range(0, len(columns), width)):
        texts = raw[some].to_numpy(object)
        numbers = np.asarray(pd.to_numeric(texts.ravel(), errors="coerce"), "float64")
        numbers = numbers.reshape(texts.shape)
        parsed |= {column: numbers[:, place] for place, column in enumerate(some)}
        lines, places = np.nonzero(np.isnan(numbers) & pd.notna(texts))
        for place, line in sorted(zip(places.tolist(), lines.tolist(), strict=True)):
            if str(texts[line, place]).lower() != "nan":
                raise PrunebenchError(
                    f"{where}: {some[place]} must be a number, row {line + 2} has"
                    f" {texts[line, place]!r}"
                )
    return parsed


def _numbers_if_all(values: pd.Series, where: str) -> pd.Series:
    """Parse as float64 where every text is a number; else the texts stay."""
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers.astype("float64") if numbers.notna().equals(values.notna()) else values


def check_cells(cells: pd.DataFrame, where: str = "cells") -> None:
    """Refuse a table that would give wrong figures without a word.

    Args:
        cells: A table with typed columns.
        where: Named in errors.

    Raises:
        PrunebenchError: Missing columns, no rows, an unknown status, percentages for fractions, a
            cell recorded twice, a method in two families, several experiments in one table, or an
            ``ok`` cell without its error.
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
    """Refuse a cell recorded twice, a method in two families, two experiments, a pruned dense."""
    key = [column for column in IDENTITY if column != "family"]
    for axis in ("task", "regime", "model"):
        if cells[axis].nunique() > 1 and (cells[axis] == ALL).any():
            raise PrunebenchError(
                f"{where}: a {axis} is called {ALL!r}, as the results of all are: name it otherwise"
            )
    twice = cells[cells.duplicated(key)]
    if len(twice):
        raise PrunebenchError(f"{where}: {_name(twice.iloc[0])} is there more than once")
    for column, what in (("family", "method"), ("experiment", None)):
        many = cells.groupby(what)[column].nunique() if what else [cells[column].nunique()]
        if max(many) > 1:
            values = ", ".join(sorted(map(str, cells[column].unique()))[:5])
            of = "a method stands in two families" if what else "several experiments in one table"
            raise PrunebenchError(f"{where}: {of} ({values}); give one")
    kinds = sorted(cells["kind"].dropna().unique()) if "kind" in cells.columns else []
    if len(kinds) > 1:
        raise PrunebenchError(
            f"{where}: tasks of {len(kinds)} kinds ({', '.join(kinds)}): their errors are different"
            " things, and no score averages them; give one kind"
        )
    if ((cells["method"] == DENSE) & (cells["sparsity"] != 0)).any():
        raise PrunebenchError(f"{where}: the dense baseline has sparsity 0, found a pruned one")


def _name(row: pd.Series) -> str:
    parts = [str(row[column]) for column in ("task", "regime", "model", "method")]
    return f"{'/'.join(parts)} seed {row['seed']:g} sparsity {row['sparsity']:g}"
