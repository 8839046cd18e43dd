"""Read a table of results, whatever form it came in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from prunebench.published.open_lth import read_open_lth
from prunebench.published.read_foreign import UTF_8, ForeignTable, read_text_table
from prunebench.storage.files import sha256_file


def read_foreign_table(path: Path, encoding: str = UTF_8) -> ForeignTable:
    """Return the table of a CSV or Parquet file, packed or not, or of a folder of open_lth.

    Raises:
        PrunebenchError: It cannot be read, in one line.
    """
    return read_open_lth(path) if path.is_dir() else read_text_table(path, encoding)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, of a folder that of the table that it holds."""
    if not path.is_dir():
        return sha256_file(path)
    table = read_open_lth(path)
    rows = json.dumps([table.header, [row for _, row in table.rows]])
    return hashlib.sha256(rows.encode()).hexdigest()
