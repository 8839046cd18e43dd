"""Read a table that somebody else wrote: strictly, as text, and never as a program.

Not by pandas: it pads rows that are too short, renames the second of two columns with the same
name, and names no lines. Here such a table is refused, with the line.
"""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from prunebench.errors import PrunebenchError, shown
from prunebench.statistics.cells_table import MOST_COLUMNS
from prunebench.storage.files import require_plain

LARGEST = 64 * 2**20  # bytes
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class ForeignTable:
    """A table of text: its header, and each row with the line on which it ends."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: tuple[str, ...] = ()  # what was left out


def read_text_table(path: Path) -> ForeignTable:
    """Read a CSV file with a header; fields are stripped, empty lines left out.

    So is the index that pandas writes: a first column without a name that numbers the rows.

    Raises:
        PrunebenchError: It cannot be read, is not UTF-8, has another separator, a row longer or
            shorter than the header, or a column without a name or with that of another.
    """
    lines = _lines(path, _text(path))
    if not lines:
        raise PrunebenchError(f"{path} is empty")
    (_, header), *rows = lines
    if len(header) == 1 and (found := re.search("[;\t|]", header[0])):
        raise PrunebenchError(
            f"{path}: the columns are separated by {found[0]!r}; save it with commas"
        )
    if not rows:
        raise PrunebenchError(f"{path} has no rows below its header")
    for line, row in rows:
        if len(row) != len(header):
            raise PrunebenchError(
                f"{path} line {line} has {len(row)} fields, the header has {len(header)}:"
                " a field with a comma needs quotes"
            )
    if not header[0] and _is_index([row[0] for _, row in rows]):
        header, rows = header[1:], [(line, row[1:]) for line, row in rows]
        notes: tuple[str, ...] = ("the first column has no name and numbers the rows: not taken",)
    else:
        notes = ()
    _check_header(path, header, rows)
    return ForeignTable(header, rows, notes)


def _is_index(texts: list[str]) -> bool:
    """Return whether a column counts the rows from 0 on, or a part of such rows, in their order."""
    if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in texts):
        return False
    numbers = [int(text) for text in texts]
    return all(one < two for one, two in pairwise(numbers))


def _text(path: Path) -> str:
    require_plain(path)
    try:
        if path.stat().st_size > LARGEST:
            raise PrunebenchError(f"{path} is larger than {LARGEST >> 20} MiB: no table of results")
        # -sig: spreadsheets put a byte-order mark before the first column's name
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PrunebenchError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, PrunebenchError):
            raise
        raise PrunebenchError(f"{path} is no text in UTF-8: save it as CSV UTF-8") from error
    if "\0" in text:
        raise PrunebenchError(f"{path} is no text: it holds a zero byte")
    return text


def _lines(path: Path, text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except csv.Error as error:
        raise PrunebenchError(f"{path} line {reader.line_num} is no CSV: {error}") from error
    return [(line, row) for line, row in rows if any(row)]


def _check_header(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    if len(header) > MOST_COLUMNS:
        raise PrunebenchError(f"{path} is no table of results: it has {len(header):,} columns")
    for place, name in enumerate(header):
        if name in header[:place] and name:
            raise PrunebenchError(f"{path}: two columns are named {shown(name)}; rename one")
        if not name and any(row[place] for _, row in rows):
            raise PrunebenchError(
                f"{path}: column {place + 1} has no name: give it one, or leave it out"
            )


def parse_number(text: str) -> float:
    """Read a plain, finite number.

    Raises:
        ValueError: It is another text; the message is the end of a sentence about it.
    """
    if _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return value
    advice = ""
    if "%" in text:
        advice = ": take the sign away, and say the unit, such as accuracy-percent"
    elif "±" in text or "+/-" in text:
        advice = ": give the mean alone, or a row for each seed"
    elif re.fullmatch(r"[+-]?\d+,\d+", text):
        advice = ": is the comma a decimal point?"
    raise ValueError(f"is no number{advice}")
