"""Read the tables of a Markdown text, such as a README: cells as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.published.read_foreign import UTF_8, ForeignTable, checked_table, read_text
from prunebench.text.numbers import listed

SUFFIXES = (".md", ".markdown")
_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def read_markdown_table(path: Path, wanted: Iterable[str], encoding: str = UTF_8) -> ForeignTable:
    """Return the first table of a Markdown text that has all the wanted columns.

    Emphasis is taken away, and links behind a text: they lead to what belongs to it. ``<br>`` ends
    a line within a cell; in a header it is a space.

    Args:
        path: The text.
        wanted: Names of columns.
        encoding: Of the text.

    Raises:
        PrunebenchError: No table has them all, or a row is longer or shorter than its header.
    """
    columns = {column.casefold() for column in wanted}
    lines = read_text(path, encoding).splitlines()
    seen = []
    for start, header in _headers(lines):
        if columns <= {name.casefold() for name in header}:
            rows = list(_rows(lines, start))
            return checked_table(path, [(start, header), *rows])
        seen.append(" | ".join(header))
    has = f"; it has {listed(seen)}" if seen else "; it has no table"
    raise PrunebenchError(f"{path} has no table with the columns {listed(sorted(wanted))}{has}")


def _headers(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield of each table the number of its line of dashes, from 1, and its header."""
    for number, (line, rule) in enumerate(pairwise(lines), start=2):
        if "|" in line and "|" in rule and _RULE.fullmatch(rule.strip()):
            yield number, [" ".join(cell.split("\n")) for cell in _cells(line)]


def _rows(lines: list[str], start: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines[start:], start=start + 1):
        if "|" not in line:
            return
        yield number, _cells(line)


def _cells(line: str) -> list[str]:
    """Return the cells of a row, each with its lines parted by newlines."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [_plain(cell) for cell in re.split(r"(?<!\\)\|", inner)]


def _plain(cell: str) -> str:
    """Return a cell without emphasis, and without its links unless it is nothing else."""
    lines = re.split(r"<br\s*/?>", cell)
    for replacement in ("", r"\1"):
        bare = [_LINK.sub(replacement, text).strip(" ,") for text in lines]
        if any(bare):
            break
    return "\n".join(re.sub(r"\*\*|__|`|\\", "", text) for text in bare if text)
