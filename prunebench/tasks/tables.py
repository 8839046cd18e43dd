"""Tables of text files (CSV, TSV) and Parquet, with the file and row of every value for messages.

CSV has commas and quotes; TSV has tabs and, as GLUE's files, no quotes.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.storage.files import require_plain
from prunebench.tasks.raw import check_fits, one_line

SUFFIXES = (".csv", ".tsv", ".parquet")
# split -> the names under which its files are stored: <name>.csv, or <name>-*.parquet for shards
SPLITS = {"train": ("train",), "val": ("val", "validation", "valid", "dev"), "test": ("test",)}
ROWS_AT_ONCE = 1024
_MISSING = ("nan", "null", "none", "na", "n/a", "?")  # how programs write that there is no value
_LARGEST = float(np.finfo(np.float32).max)  # numbers are kept as float32


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, and where each row stands."""

    path: Path
    columns: Mapping[str, Sequence[Any]]
    lines: Sequence[int] | None = None  # of a text file, where each row ends; from 1
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of classes, by column

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def where(self, row: int) -> str:
        """Return how a message names a row: lines count from 1, rows of Parquet from 0."""
        at = f"row {row}" if self.lines is None else f"line {self.lines[row]}"
        return f"{self.path}, {at}"

    def column(self, name: str) -> Sequence[Any]:
        """Return a column; raise PrunebenchError if there is none of that name."""
        if name not in self.columns:
            raise PrunebenchError(
                f"{self.path} has no column {name!r}{suggest(name, self.columns)}"
            )
        return self.columns[name]


def split_files(root: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, list[Path]]:
    """Return the files of each split in a folder (or its ``data/``); a file alone is training.

    Raises:
        PrunebenchError: the folder has no training file.
    """
    if root.is_file():
        return {"train": [root]}
    for place in (root, root / "data"):
        found = {
            split: sorted(
                file
                for name in names
                for suffix in suffixes
                for pattern in (f"{name}{suffix}", f"{name}-*{suffix}")
                for file in place.glob(pattern)
            )
            for split, names in SPLITS.items()
        }
        if found["train"]:
            return {split: files for split, files in found.items() if files}
    raise PrunebenchError(f"{root} holds no {' or '.join(f'train{suffix}' for suffix in suffixes)}")


def read_tables(files: Sequence[Path]) -> Table:
    """Read files of one split, one after the other; all must have the first one's columns."""
    tables = [read_table(file) for file in files]
    if len(tables) == 1:
        return tables[0]
    for table in tables[1:]:
        if list(table.columns) != list(tables[0].columns):
            raise PrunebenchError(
                f"{table.path} has columns {', '.join(table.columns)}, and {tables[0].path}"
                f" {', '.join(tables[0].columns)}"
            )
    columns = {
        name: [value for table in tables for value in table.columns[name]]
        for name in tables[0].columns
    }
    return Table(files[0].parent, columns, names=tables[0].names)


def read_table(path: Path) -> Table:
    """Read a CSV, TSV or Parquet file, by the ending of its name.

    Raises:
        PrunebenchError: it cannot be read, is not UTF-8, has no row, names a column twice, or has
            a row of another length; the message names the line.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    if suffix not in SUFFIXES:
        raise PrunebenchError(f"{path}: a table is a file {', '.join(SUFFIXES)}")
    return _delimited(path, "," if suffix == ".csv" else "\t")


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        PrunebenchError: it cannot be read, does not fit into memory, or is of another encoding;
            the message names the line.
    """
    require_plain(path)
    try:
        check_fits(path.stat().st_size, str(path))
        content = path.read_bytes()
    except OSError as error:
        raise PrunebenchError(f"{path} cannot be read: {one_line(error)}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PrunebenchError(
            f"{path}, line {line}: byte {content[error.start]:#04x} is not UTF-8; save the file as"
            " UTF-8"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise PrunebenchError(f"{path}, line {line}: a zero byte; is this a text file in UTF-8?")
    return text


def numbers(table: Table, name: str) -> NDArray[np.float64]:
    """Return a column as finite numbers [N]; raise PrunebenchError naming the first other row."""
    column = table.column(name)
    values = np.empty(len(column), np.float64)
    for row, value in enumerate(column):
        try:
            values[row] = np.nan if value is None or value == "" else float(value)
        except (TypeError, ValueError) as error:
            raise PrunebenchError(
                f"{table.where(row)}: {name} is {shown(value)}, no number"
            ) from error
        if not abs(values[row]) <= _LARGEST:  # so that NaN is refused, too
            state = "empty" if value in (None, "") else f"{value}, no finite number"
            raise PrunebenchError(f"{table.where(row)}: {name} is {state}")
    return values


def texts(table: Table, name: str) -> list[str]:
    """Return a column of texts [N]; raise PrunebenchError naming the first row without one."""
    column = table.column(name)
    for row, value in enumerate(column):
        if not isinstance(value, str):
            raise PrunebenchError(f"{table.where(row)}: {name} is {shown(value)}, no text")
        if not value.strip():
            raise PrunebenchError(f"{table.where(row)}: {name} is empty")
    return list(column)


def sound_in(table: Table, row: int, name: str = "audio") -> tuple[bytes, str]:
    """Return the bytes and the file name of a recording in Parquet as Hugging Face has it.

    Raises:
        PrunebenchError: the row holds no bytes.
    """
    cell = table.column(name)[row]
    if not isinstance(cell, dict) or not isinstance(cell.get("bytes"), bytes):
        raise PrunebenchError(
            f"{table.where(row)}: {name} holds no bytes; it must be {{bytes, path}}"
        )
    return cell["bytes"], str(cell.get("path") or "")


def classes(
    tables: Mapping[str, Table], name: str
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...] | None]:
    """Return the classes [N] of each split, and their names where they are not just numbered.

    A column of whole numbers holds the numbers of the classes; of other texts, the sorted texts of
    training are the classes.

    Args:
        tables: by split, with ``train``.
        name: of the column.

    Raises:
        PrunebenchError: a class is missing, or one that training does not show.
    """
    values = {split: _filled(table, name) for split, table in tables.items()}
    if all(_whole(value) for column in values.values() for value in column):
        numbered = {
            split: np.array([int(value) for value in column], np.int64)
            for split, column in values.items()
        }
        return numbered, tables["train"].names.get(name)
    _refuse_missing(tables, values, name)
    known = tuple(sorted({str(value) for value in values["train"]}))
    index = {text: number for number, text in enumerate(known)}
    made = {}
    for split, column in values.items():
        for row, value in enumerate(column):
            if str(value) not in index:
                raise PrunebenchError(
                    f"{tables[split].where(row)}: {name} is {shown(value)}, a class that training"
                    f" does not show{suggest(str(value), known)}"
                )
        made[split] = np.array([index[str(value)] for value in column], np.int64)
    return made, known


def _filled(table: Table, name: str) -> Sequence[Any]:
    column = table.column(name)
    for row, value in enumerate(column):
        if value is None or value == "":
            raise PrunebenchError(f"{table.where(row)}: {name} is empty")
        if isinstance(value, float):
            raise PrunebenchError(
                f"{table.where(row)}: {name} is {value}; a class is a whole number or a word"
            )
    return column


def _refuse_missing(
    tables: Mapping[str, Table], values: Mapping[str, Sequence[Any]], name: str
) -> None:
    """Refuse what stands for no value among numbers; among words it may be one, as "nan" is."""
    if not any(_whole(value) for column in values.values() for value in column):
        return
    for split, column in values.items():
        for row, value in enumerate(column):
            if str(value).strip().casefold() in _MISSING:
                raise PrunebenchError(
                    f"{tables[split].where(row)}: {name} is {shown(value)}, among whole numbers: no"
                    " class; leave the row out"
                )


def _whole(value: Any) -> bool:
    """Whether a value is a whole number of at most 9 digits, or the text of one."""
    text = str(value)
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 9


def _delimited(path: Path, delimiter: str) -> Table:
    text = io.StringIO(read_text(path), newline="")
    quotes: Any = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    reader = csv.reader(text, delimiter=delimiter, quoting=quotes, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = next(reader, [])
        for row in reader:
            if not row:
                continue  # an empty line, such as the last
            if len(row) != len(header):
                raise PrunebenchError(
                    f"{path}, line {reader.line_num}: {len(row)} columns, the header has"
                    f" {len(header)}"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise PrunebenchError(f"{path}, line {reader.line_num}: {one_line(error)}") from error
    if (twice := _twice(header)) is not None:
        raise PrunebenchError(f"{path}, line 1: two columns are named {twice!r}")
    if not rows:
        raise PrunebenchError(f"{path} has no row below its header")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    return Table(path, columns, lines)


def _parquet(path: Path) -> Table:
    import pyarrow.parquet as pq

    require_plain(path)
    try:
        file = pq.ParquetFile(path)
        names, rows = file.schema_arrow.names, file.metadata.num_rows
        if (twice := _twice(names)) is not None:
            raise PrunebenchError(f"{path}: two columns are named {twice!r}")
        columns: dict[str, list[Any]] = {name: [] for name in names}
        size = 0
        for batch in file.iter_batches(ROWS_AT_ONCE):
            # a few bytes may stand for one long text, said to be there a million times
            decoded = [_decoded(batch.column(name)) for name in names]
            here = sum(column.nbytes for column in decoded)
            size += here
            check_fits(max(size, rows * here // max(len(batch), 1)), str(path))
            for name, column in zip(names, decoded, strict=True):
                columns[name] += column.to_pylist()
    except PrunebenchError:
        raise
    # what has no counterpart in Python is found out when it becomes one: texts in another encoding,
    # days and times beyond all years
    except Exception as error:
        raise PrunebenchError(f"{path} is no readable Parquet file: {one_line(error)}") from error
    for name, column in columns.items():
        if len(column) != rows:
            raise PrunebenchError(
                f"{path} is damaged: it declares {rows:,} rows, column {name!r} has {len(column):,}"
            )
    if not any(columns.values()):
        raise PrunebenchError(f"{path} has no row")
    return Table(path, columns, names=_class_names(file.schema_arrow.metadata))


def _twice(names: Sequence[str]) -> str | None:
    """Return the first name that stands more than once; None where there is none."""
    counts = Counter(names)
    return next((name for name in names if counts[name] > 1), None)


def _decoded(column: Any) -> Any:
    """Return a column of Arrow without a dictionary."""
    import pyarrow as pa

    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Return the names of classes where Hugging Face's datasets library stored them, by column."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
