"""Convert a foreign table to the columns and units of the record, or say in one line why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.settings.names import Name
from prunebench.published.column_mapping import COLUMNS, NAMES, NEEDED, ColumnMapping
from prunebench.published.read_foreign import ForeignTable, parse_number, read_text_table
from prunebench.published.units import ERROR, SPARSITY, contradiction, too_small, upside_down
from prunebench.statistics.cells_table import TEXT, UNKNOWN, typed
from prunebench.storage.records import COLUMNS as RECORD
from prunebench.storage.records import DENSE, IDENTITY, OK, STATUSES
from prunebench.text import safe_names

DEFAULTS = {"family": UNKNOWN, "seed": "0", "status": OK}
WORDS = (*TEXT, "status", "message")
_NAME: TypeAdapter[str] = TypeAdapter(Name)
Value = TypeVar("Value")


def convert(path: Path, mapping: ColumnMapping) -> tuple[pd.DataFrame, list[str]]:
    """Read a file as a mapping says.

    Args:
        path: A CSV file.
        mapping: Of its columns and units.

    Returns:
        The rows to be stored, and notes for the user.

    Raises:
        PrunebenchError: Something cannot be right, in one line with the place.
    """
    table = read_text_table(path)
    found = _columns(path, table.header, mapping)
    rows = [_Row(path, line, fields, found, mapping).values() for line, fields in table.rows]
    lines = [line for line, _ in table.rows]
    if mapping.dense_at_zero:
        rows, lines = _dense_once(path, rows, lines)
    _check_cells(path, rows, lines)
    numbers = {column: [row[column] for row in rows if column in row] for column in COLUMNS}
    _check_plausible(path, table, rows, found, mapping)
    order = [column for column in RECORD if any(v is not None for v in numbers.get(column, []))]
    cells = pd.DataFrame(rows).reindex(columns=order)
    experiment = cells.astype("object").assign(experiment=path.stem)
    typed(experiment, str(path))  # raises for what no table of cells may hold
    taken = {table.header[place] for place in found.values() if isinstance(place, int)}
    left = [name for name in table.header if name and name not in taken]
    notes = [*table.notes, *([f"not taken: {', '.join(map(shown, left))}"] if left else [])]
    return cells, notes


def _columns(path: Path, header: list[str], mapping: ColumnMapping) -> dict[str, int | str]:
    """Return for each column of the record its place in the file, or the text that is constant."""
    found: dict[str, int | str] = {}
    for column in COLUMNS:
        theirs = mapping.columns.get(column, column)
        if column in mapping.constants:
            found[column] = mapping.constants[column].strip()
        elif theirs in header:
            found[column] = header.index(theirs)
        elif column in mapping.columns:
            names = [name for name in header if name]
            raise PrunebenchError(f"{path} has no column {shown(theirs)}{suggest(theirs, names)}")
    missing = [column for column in NEEDED if column not in found]
    if missing:
        there = ", ".join(shown(name) for name in header if name)
        raise PrunebenchError(
            f"{path} lacks {', '.join(missing)} (it has {there}): say --column {missing[0]}=NAME,"
            f" or --set {missing[0]}=VALUE where all rows have the same"
        )
    for column in (ERROR, SPARSITY):
        place, unit = found[column], mapping.unit(column)
        said = contradiction(header[place], unit) if isinstance(place, int) else ""
        if said:
            raise PrunebenchError(
                f"{path}: column {shown(header[int(place)])} speaks of {said}, but is to be read as"
                f" {unit.name}: say --unit, such as {_example(said, column)}"
            )
    return found


def _example(said: str, column: str) -> str:
    words = {"compression": "compression-ratio", "per cent": f"{column.split('_')[-1]}-percent"}
    return words.get(said, f"{said}-percent")


class _Row:
    """One line of the file; every error about its values names line and column."""

    def __init__(
        self, path: Path, line: int, fields: list[str], found: dict[str, int | str],
        mapping: ColumnMapping,
    ) -> None:  # fmt: skip
        self.path, self.line, self.fields = path, line, fields
        self.found, self.mapping = found, mapping

    def values(self) -> dict[str, Any]:
        """Return the values of the record; an empty one is None."""
        made: dict[str, Any] = {column: self.text(column) for column in COLUMNS}
        dense = made["method"].casefold() == self.mapping.dense.casefold()
        if dense:
            made |= {"method": DENSE, "family": DENSE}
        elif DENSE in (made["method"].casefold(), made["family"]):
            self.refuse("method", made["method"], "is not what --dense names, yet says dense")
        if made["status"] not in STATUSES:
            self.refuse(
                "status", made["status"], f"is no status{suggest(made['status'], STATUSES)}"
            )
        for column in COLUMNS:
            if column not in WORDS and made[column] is not None:
                made[column] = self.attempt(column, parse_number, made[column])
        given = made[SPARSITY]
        if dense and given is None:
            made[SPARSITY] = 0.0
        else:
            self.share(made, SPARSITY)
        if self.mapping.dense_at_zero and made[SPARSITY] == 0:
            dense = True
            made |= {"method": DENSE, "family": DENSE}
        self.share(made, ERROR)
        self.check(made, dense)
        ratio = self.mapping.unit(SPARSITY).name == "compression-ratio"
        if ratio and made["compression_ratio"] is None:
            made["compression_ratio"] = given or 1.0
        return made

    def text(self, column: str) -> str | None:
        """Return the text of a column, after the mapping of values; None where it is empty."""
        place = self.found.get(column)
        text = "" if place is None else self.fields[place] if isinstance(place, int) else place
        text = self.mapping.values.get(column, {}).get(text, text).strip()
        text = text or DEFAULTS.get(column, "")
        if column in WORDS and (text or column != "message"):
            self.attempt(column, safe_names.name, text)
        if column in NAMES:
            try:
                _NAME.validate_python(text)
            except ValidationError:
                self.refuse(
                    column, text, "is no name of an experiment: letters, digits, '.', '_', '-'"
                    " (a mapping's values can rename it)",
                )  # fmt: skip
        return text or None

    def share(self, made: dict[str, Any], column: str) -> None:
        """Convert a number with a unit; only a lost cell may lack its error."""
        if made[column] is not None:
            made[column] = self.attempt(column, self.mapping.unit(column).convert, made[column])
        elif column == SPARSITY or made["status"] == OK:
            advice = {
                ERROR: "leave the row out, or give it the status failed",
                SPARSITY: "is it the dense network's row? then say --dense with its name",
            }  # fmt: skip
            self.refuse(column, "", f"is empty; {advice[column]}")

    def check(self, made: dict[str, Any], dense: bool) -> None:
        """Refuse a seed, or a dense row, that cannot be right."""
        seed = made["seed"]
        if not (seed == int(seed) and 0 <= seed < 2**53):
            self.refuse("seed", f"{seed:g}", "is no whole number from 0 on")
        made["seed"] = int(seed)
        if dense and made[SPARSITY] != 0:
            self.refuse(
                SPARSITY, f"{made[SPARSITY]:g}", "is not 0, but the row is the dense network's"
            )
        if dense and made["status"] != OK:
            self.refuse("status", made["status"], "is not ok: without it nothing can be compared")

    def attempt(self, column: str, read: Callable[[Any], Value], value: Any) -> Value:
        """Return ``read(value)``; its ValueError becomes an error with the place."""
        try:
            return read(value)
        except ValueError as error:
            self.refuse(column, value if isinstance(value, str) else f"{value:g}", str(error))
            raise

    def refuse(self, column: str, value: str, why: str) -> None:
        """Raise PrunebenchError: file, line, column, value, and what is wrong with it."""
        what = f" {shown(value)}" if value else ""
        raise PrunebenchError(f"{self.path} line {self.line}, {column}:{what} {why}") from None


def _dense_once(
    path: Path, rows: list[dict[str, Any]], lines: list[int]
) -> tuple[list[dict[str, Any]], list[int]]:
    """Keep the dense network once of each seed, and refuse rows that differ about its error."""
    seen: dict[tuple[Any, ...], tuple[int, float]] = {}
    kept = []
    for row, line in zip(rows, lines, strict=True):
        if row["method"] == DENSE:
            key = tuple(row[column] for column in (*NAMES, "seed"))
            first, error = seen.setdefault(key, (line, row[ERROR]))
            if row[ERROR] != error:
                raise PrunebenchError(
                    f"{path} lines {first} and {line} are both the dense network of"
                    f" {'/'.join(map(str, key[:3]))} seed {key[3]}, and differ in {ERROR}: say"
                    " --dense with the method whose rows are its"
                )
            if line != first:
                continue
        kept.append((row, line))
    return [row for row, _ in kept], [line for _, line in kept]


def _check_cells(path: Path, rows: list[dict[str, Any]], lines: list[int]) -> None:
    """Refuse a cell that is there twice, a method in two families."""
    seen: dict[tuple[Any, ...], int] = {}
    families: dict[str, str] = {}
    for row, line in zip(rows, lines, strict=True):
        key = tuple(
            round(row[c], 10) if c == SPARSITY else row[c]
            for c in IDENTITY if c not in ("experiment", "family")
        )  # fmt: skip
        if key in seen:
            raise PrunebenchError(
                f"{path} lines {seen[key]} and {line} are the same cell"
                f" ({', '.join(map(str, key[:4]))}, seed {key[4]}, sparsity {key[5]:g}): map the"
                " column that tells them apart, such as --column seed=NAME"
            )
        seen[key] = line
        if families.setdefault(row["method"], row["family"]) != row["family"]:
            raise PrunebenchError(f"{path} line {line}: {row['method']} stands in two families")


def _check_plausible(
    path: Path, table: ForeignTable, rows: list[dict[str, Any]], found: dict[str, int | str],
    mapping: ColumnMapping,
) -> None:  # fmt: skip
    """Refuse numbers that are possible, but most likely of another unit."""
    for column in (ERROR, SPARSITY):
        unit, place = mapping.unit(column), found[column]
        texts = [fields[place] for _, fields in table.rows] if isinstance(place, int) else [place]
        numbers = [parse_number(text) for text in texts if text]
        if too_small(numbers, unit):
            share = unit.name.replace("-percent", "-share")
            raise PrunebenchError(
                f"{path}, {column}: no number is above 1, so this is no {unit.name}; say {share}?"
            )
    measured = sorted((row[SPARSITY], row[ERROR]) for row in rows if row[ERROR] is not None)
    if measured and not mapping.says(ERROR) and upside_down(measured[0][1], measured[-1][1]):
        raise PrunebenchError(
            f"{path}: the dense network would err in {measured[0][1]:.0%}, the sparsest in"
            f" {measured[-1][1]:.0%}: are these accuracies? say --unit accuracy-share, or"
            " error-share if they are errors"
        )
