"""Read a table of results, whatever form it came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from prunebench.published.markdown_table import SUFFIXES, read_markdown_table
from prunebench.published.open_lth import read_open_lth
from prunebench.published.read_foreign import UTF_8, ForeignTable, read_text_table
from prunebench.published.wide_table import WideTable, to_rows
from prunebench.storage.files import sha256_file


def read_foreign_table(
    path: Path,
    encoding: str = UTF_8,
    wanted: Sequence[str] = (),
    wide: WideTable | None = None,
) -> ForeignTable:
    """Return the table of a CSV, Parquet or Markdown file, or of a folder of open_lth.

    Args:
        path: The file, packed or not, or the folder.
        encoding: Of its text.
        wanted: Columns that it is to have, of which a text of several tables has the right one.
        wide: Which columns stand for rows.

    Raises:
        PrunebenchError: It cannot be read, in one line.
    """
    if path.is_dir():
        table = read_open_lth(path)
    elif path.suffix.casefold() in SUFFIXES:
        table = read_markdown_table(path, wanted, encoding)
    else:
        table = read_text_table(path, encoding)
    return to_rows(path, table, wide) if wide else table


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, of a folder that of the table that it holds."""
    if not path.is_dir():
        return sha256_file(path)
    table = read_open_lth(path)
    rows = json.dumps([table.header, [row for _, row in table.rows]])
    return hashlib.sha256(rows.encode()).hexdigest()
