"""Convert a foreign table to the columns and units of the record, or say in one line why not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.settings.names import Name
from prunebench.published.column_mapping import COLUMNS, NAMES, NEEDED, ColumnMapping
from prunebench.published.foreign_table import read_foreign_table
from prunebench.published.read_foreign import ForeignTable, parse_number
from prunebench.published.row_filter import RowFilter
from prunebench.published.units import (  # fmt: skip
    ERROR,
    PERPLEXITY,
    SPARSITY,
    UNITS,
    contradiction,
    too_small,
    upside_down,
)
from prunebench.statistics.cells_table import TEXT, UNKNOWN, typed
from prunebench.storage.records import COLUMNS as RECORD
from prunebench.storage.records import DENSE, IDENTITY, OK, STATUSES
from prunebench.text import safe_names

DEFAULTS = {"family": UNKNOWN, "seed": "0", "status": OK}
WORDS = (*TEXT, "status", "message")
_SEED = re.compile(r"(?P<name>[^\W\d_][^\W\d]*[ .#-]?)(?P<number>\d{1,15})", re.ASCII)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
Value = TypeVar("Value")


def convert(path: Path, mapping: ColumnMapping) -> tuple[pd.DataFrame, list[str]]:
    """Read a file as a mapping says.

    Args:
        path: A CSV or Parquet file, or a folder of open_lth.
        mapping: Of its columns and units.

    Returns:
        The rows to be stored, and notes for the user.

    Raises:
        PrunebenchError: Something cannot be right, in one line with the place.
    """
    return _converted(path, _chosen(path, _read(path, mapping), mapping), mapping)


def _read(path: Path, mapping: ColumnMapping) -> ForeignTable:
    return read_foreign_table(path, mapping.encoding, mapping.read_of_file, mapping.wide)


def convert_dense(
    path: Path, mapping: ColumnMapping, pruned: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Read the dense results that stand in a file of their own, beside those of pruned networks.

    Every row is the dense network's. The mapping is that of the pruned ones, as far as the file has
    its columns, in whatever capitals. What belongs to no setting of ``pruned`` is left out. Rows
    without a seed get seeds that no pruned network has, since nobody said which belongs to which.

    Args:
        path: The file.
        mapping: Of the file with the pruned networks.
        pruned: What ``convert`` returned of it.

    Raises:
        PrunebenchError: As ``convert`` does, or none of its rows belongs to a pruned network.
    """
    table = _read(path, mapping)
    table = replace(table, header=_as_written(table.header, mapping.read_of_file))
    whole = RowFilter.parse(mapping.where).among(table.header) if mapping.where else None
    if whole is not None:
        table = replace(table, rows=[row for row in table.rows if whole.holds(table.named(row))])
    needed = (*NAMES, ERROR)
    columns = {
        column: theirs for column, theirs in mapping.columns.items()
        if column != "method"
        and (column in needed or set(_listed(theirs)) <= set(table.header))
    }  # fmt: skip
    constants = {k: v for k, v in mapping.constants.items() if k != "method"}
    constants |= {"method": mapping.dense}
    if SPARSITY not in columns and SPARSITY not in table.header:
        constants[SPARSITY] = ""  # that of the dense network
    own = mapping.model_copy(update={"columns": columns, "constants": constants})
    first = int(pruned["seed"].max()) + 1 if mapping.number_seeds else 0
    cells, notes = _converted(path, table, own, first)
    if not (cells["method"] == DENSE).all():
        raise PrunebenchError(f"{path} is to hold dense results alone; import the rest without it")
    known = set(pruned[list(NAMES)].itertuples(index=False, name=None))
    there = [key in known for key in cells[list(NAMES)].itertuples(index=False, name=None)]
    if not any(there):
        raise PrunebenchError(f"{path} has no dense result of a network in the table")
    if not all(there):
        notes.append(f"{there.count(False)} dense results of other networks: not taken")
    return cells[there], notes


def _as_written(header: list[str], wanted: list[str]) -> list[str]:
    """Return a header with the wanted names, where they differ in capitals alone."""
    lower = [name.casefold() for name in header]
    known = {
        name.casefold(): name
        for name in wanted
        if name not in header and lower.count(name.casefold()) == 1
    }
    return [known.get(small, name) for small, name in zip(lower, header, strict=True)]


def _chosen(path: Path, table: ForeignTable, mapping: ColumnMapping) -> ForeignTable:
    """Return a table with the rows that the mapping's condition chooses."""
    if not mapping.where:
        return table
    wanted = RowFilter.parse(mapping.where)
    wanted.check(table.header, str(path))
    rows = [row for row in table.rows if wanted.holds(table.named(row))]
    if not rows:
        raise PrunebenchError(f"{path} has no row with {mapping.where}")
    left = len(table.rows) - len(rows)
    notes = (f"{left} of {len(table.rows)} rows are not chosen by --where",) if left else ()
    return replace(table, rows=rows, notes=(*table.notes, *notes))


def _converted(
    path: Path, table: ForeignTable, mapping: ColumnMapping, first_seed: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    found = _columns(path, table.header, mapping)
    seeds = _seed_numbers(path, table, found, mapping)
    made = [_Row(path, line, fields, found, mapping, seeds) for line, fields in table.rows]
    rows = [row.values() for row in made]
    lines = [line for line, _ in table.rows]
    if mapping.dense_at_zero:
        rows, lines = _dense_once(path, rows, lines)
    if mapping.number_seeds and "seed" not in found:
        _number_seeds(rows, first_seed)
    _check_cells(path, rows, lines)
    numbers = {column: [row[column] for row in rows if column in row] for column in COLUMNS}
    _check_plausible(path, table, rows, found, mapping)
    order = [column for column in RECORD if any(v is not None for v in numbers.get(column, []))]
    cells = pd.DataFrame(rows).reindex(columns=order)
    experiment = cells.astype("object").assign(experiment=path.stem)
    typed(experiment, str(path))  # raises for what no table of cells may hold
    taken = {
        table.header[place]
        for places in found.values() if not isinstance(places, str)
        for place in places
    }  # fmt: skip
    left = [name for name in table.header if name and name not in taken]
    notes = [*table.notes, *([f"not taken: {', '.join(map(shown, left))}"] if left else [])]
    return cells, notes


def _listed(theirs: str | list[str]) -> list[str]:
    return [theirs] if isinstance(theirs, str) else theirs


def _columns(
    path: Path, header: list[str], mapping: ColumnMapping
) -> dict[str, tuple[int, ...] | str]:
    """Return for each column of the record its places in the file, or the text that is constant."""
    found: dict[str, tuple[int, ...] | str] = {}
    names = [name for name in header if name]
    for column in COLUMNS:
        theirs = _listed(mapping.columns.get(column, column))
        lacking = [name for name in theirs if name not in header]
        if column in mapping.constants:
            found[column] = mapping.constants[column].strip()
        elif not lacking:
            found[column] = tuple(map(header.index, theirs))
        elif column in mapping.columns:
            raise PrunebenchError(
                f"{path} has no column {shown(lacking[0])}{suggest(lacking[0], names)}"
            )
    missing = [column for column in NEEDED if column not in found]
    if missing:
        there = ", ".join(shown(name) for name in header if name)
        raise PrunebenchError(
            f"{path} lacks {', '.join(missing)} (it has {there}): say --column {missing[0]}=NAME,"
            f" or --set {missing[0]}=VALUE where all rows have the same"
        )
    for column in (ERROR, SPARSITY):
        places, unit = found[column], mapping.unit(column)
        name = "" if isinstance(places, str) else header[places[0]]
        if said := contradiction(name, unit):
            raise PrunebenchError(
                f"{path}: column {shown(name)} speaks of {said}, but is to be read as"
                f" {unit.name}: say --unit, such as {_example(said, column)}"
            )
    return found


def _example(said: str, column: str) -> str:
    words = {
        "compression": "compression-ratio", "per cent": f"{column.split('_')[-1]}-percent",
        "bleu": "bleu", PERPLEXITY: PERPLEXITY,
    }  # fmt: skip
    return words.get(said, f"{said}-percent")


class _Row:
    """One line of the file; every error about its values names line and column."""

    def __init__(
        self, path: Path, line: int, fields: list[str], found: dict[str, tuple[int, ...] | str],
        mapping: ColumnMapping, seeds: dict[str, str],
    ) -> None:  # fmt: skip
        self.path, self.line, self.fields = path, line, fields
        self.found, self.mapping, self.seeds = found, mapping, seeds

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
                text = _without_sign(made[column], column, self.mapping)
                made[column] = self.attempt(column, parse_number, text)
        given, error = made[SPARSITY], made[ERROR]
        # a sparsity that is the same in all rows is that of the pruned networks
        if dense and (given is None or isinstance(self.found[SPARSITY], str)):
            given, made[SPARSITY] = None, 0.0
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
        if self.mapping.unit(ERROR).name == PERPLEXITY and made["test_nll"] is None and error:
            made["test_nll"] = math.log(error)
        return made

    def text(self, column: str) -> str | None:
        """Return the text of a column, after the mapping of values; None where it is empty."""
        text = _theirs(self.fields, self.found.get(column, ""), self.mapping.values.get(column, {}))
        text = text or DEFAULTS.get(column, "")
        if column == "seed":
            text = self.seeds.get(text, text)
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
            if column == SPARSITY and self.mapping.sparsity_digits is not None:
                made[column] = round(made[column], self.mapping.sparsity_digits)
        elif column == SPARSITY or made["status"] == OK:
            advice = {
                ERROR: "leave the row out, or give it the status failed",
                SPARSITY: "is it the dense network's row? then say --dense with its name"
                f" ({made['method']!r}; now it is {self.mapping.dense!r})",
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


def _theirs(fields: list[str], places: tuple[int, ...] | str, renamed: dict[str, str]) -> str:
    """Return the text of a column of one row, renamed, of several columns joined by hyphens."""
    if isinstance(places, str):
        return renamed.get(places, places).strip()
    parts = [fields[place] for place in places]
    if len(parts) > 1:
        parts = [renamed.get(part, part).strip() for part in parts]
    text = "-".join(filter(None, parts))
    return renamed.get(text, text).strip()


def _without_sign(text: str, column: str, mapping: ColumnMapping) -> str:
    """Return a number without the sign of per cent where it was declared to be in per cent."""
    percent = column in (ERROR, SPARSITY) and mapping.unit(column).name.endswith("-percent")
    return text.removesuffix("%").rstrip() if percent else text


def _seed_numbers(
    path: Path, table: ForeignTable, found: dict[str, tuple[int, ...] | str], mapping: ColumnMapping
) -> dict[str, str]:
    """Return the numbers of seeds that have names such as ``trial_1``, by their name."""
    renamed = mapping.values.get("seed", {})
    texts = {_theirs(fields, found.get("seed", ""), renamed) for _, fields in table.rows} - {""}
    named = {text: match for text in sorted(texts) if (match := _SEED.fullmatch(text))}
    if not named:
        return {}
    other = [text for text in sorted(texts) if text not in named]
    first, *rest = sorted({match["name"] for match in named.values()})
    if other or rest:
        odd = other[0] if other else next(t for t, m in named.items() if m["name"] == rest[0])
        raise PrunebenchError(
            f"{path}, seed: {shown(next(iter(named)))} and {shown(odd)} are named in two ways: give"
            " each its number by a mapping's values"
        )
    numbers = {text: str(int(match["number"])) for text, match in named.items()}
    if len(set(numbers.values())) < len(numbers):
        raise PrunebenchError(f"{path}, seed: two names that begin {shown(first)} have one number")
    return numbers


def _number_seeds(rows: list[dict[str, Any]], first: int) -> None:
    """Give rows of the same cell the seeds ``first``, ``first`` + 1, … in their order."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        key = tuple(row[column] for column in (*NAMES, "method", SPARSITY))
        row["seed"] = first + counts[key]
        counts[key] += 1


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
                " column that tells them apart, such as --column seed=NAME, or say --number-seeds"
                " if they are its seeds"
            )
        seen[key] = line
        if families.setdefault(row["method"], row["family"]) != row["family"]:
            raise PrunebenchError(f"{path} line {line}: {row['method']} stands in two families")


def _check_plausible(
    path: Path, table: ForeignTable, rows: list[dict[str, Any]],
    found: dict[str, tuple[int, ...] | str], mapping: ColumnMapping,
) -> None:  # fmt: skip
    """Refuse numbers that are possible, but most likely of another unit."""
    for column in (ERROR, SPARSITY):
        unit, renamed = mapping.unit(column), mapping.values.get(column, {})
        texts = [_theirs(fields, found[column], renamed) for _, fields in table.rows]
        numbers = [parse_number(_without_sign(text, column, mapping)) for text in texts if text]
        if too_small(numbers, unit):
            share = unit.name.replace("-percent", "-share")
            ask = f"say {share}?" if share in UNITS else "multiply by 100"
            raise PrunebenchError(
                f"{path}, {column}: no number is above 1, so this is no {unit.name}; {ask}"
            )
    measured = sorted((row[SPARSITY], row[ERROR]) for row in rows if row[ERROR] is not None)
    if measured and not mapping.says(ERROR) and upside_down(measured[0][1], measured[-1][1]):
        raise PrunebenchError(
            f"{path}: the dense network would err in {measured[0][1]:.0%}, the sparsest in"
            f" {measured[-1][1]:.0%}: are these accuracies? say --unit accuracy-share, or"
            " error-share if they are errors"
        )
