"""Read a table that somebody else wrote: strictly, as text, and never as a program.

Not by pandas: it pads rows that are too short, renames the second of two columns with the same
name, and names no lines. Here such a table is refused, with the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from prunebench.errors import PrunebenchError, shown
from prunebench.published.foreign_bytes import is_parquet, parquet_lines, read_bytes
from prunebench.statistics.cells_table import MOST_COLUMNS

UTF_8 = "utf-8"
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class ForeignTable:
    """A table of text: its header, and each row with the line on which it ends."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: tuple[str, ...] = ()  # what was left out

    def named(self, row: tuple[int, list[str]]) -> dict[str, str]:
        """Return the fields of one row by the names of their columns."""
        return dict(zip(self.header, row[1], strict=True))


def read_text_table(path: Path, encoding: str = UTF_8) -> ForeignTable:
    """Read a CSV or Parquet file with a header; fields are stripped, empty lines left out.

    It may be packed by gzip, zip, bzip2 or xz, and separated by commas, semicolons, tabs or bars.
    The index that pandas writes, a first column without a name that numbers the rows, is left out.

    Args:
        path: The file.
        encoding: Of its text; one that Python knows.

    Raises:
        PrunebenchError: It cannot be read, has another encoding, a row longer or shorter than the
            header, or a column without a name or with that of another.
    """
    content = read_bytes(path)
    if is_parquet(content):
        lines = [line for line in enumerate(parquet_lines(path, content), 1) if any(line[1])]
    else:
        lines = _lines(path, _text(path, content, encoding))
    if not lines:
        raise PrunebenchError(f"{path} is empty")
    return checked_table(path, lines)


def read_text(path: Path, encoding: str = UTF_8) -> str:
    """Return the text of a file, packed or not.

    Raises:
        PrunebenchError: It cannot be read, or has another encoding.
    """
    return _text(path, read_bytes(path), encoding)


def checked_table(path: Path, lines: list[tuple[int, list[str]]]) -> ForeignTable:
    """Return the table of a header and its rows, each with its line, without pandas' index.

    Raises:
        PrunebenchError: It has no rows, a row longer or shorter than the header, or a column
            without a name or with that of another.
    """
    (_, header), *rows = lines
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


def _text(path: Path, content: bytes, encoding: str) -> str:
    try:
        if encoding == UTF_8:
            marked = (name for mark, name in _MARKS.items() if content.startswith(mark))
            # -sig: spreadsheets put a byte-order mark before the first column's name
            encoding = next(marked, "utf-8-sig")
        text = codecs.decode(content, encoding)
    except LookupError as error:
        raise PrunebenchError(f"--encoding {shown(encoding)}: Python knows no such encoding") from (
            error
        )
    except (ValueError, TypeError) as error:
        known = encoding.removesuffix("-sig").upper()
        raise PrunebenchError(
            f"{path} is no text in {known}: say --encoding with its own, such as latin-1 or cp1252"
        ) from error
    if not isinstance(text, str):
        raise PrunebenchError(f"--encoding {shown(encoding)} is none of texts")
    if "\0" in text:
        raise PrunebenchError(f"{path} is no text: it holds a zero byte")
    return text


def _lines(path: Path, text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        rows = [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except csv.Error as error:
        raise PrunebenchError(f"{path} line {reader.line_num} is no CSV: {error}") from error
    return [(line, row) for line, row in rows if any(row)]


def _separator(text: str) -> str:
    """Return the comma, or what separates the columns of a header that has none."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return "," if "," in first else next((sign for sign in ";\t|" if sign in first), ",")


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
        advice = (
            ": if the comma is a decimal point, write points instead, as"
            " pandas.read_csv(file, sep=';', decimal=',').to_csv(file, index=False) does"
        )
    raise ValueError(f"is no number{advice}")
