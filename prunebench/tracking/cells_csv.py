"""The rows of ``cells.csv`` as text, and where each stands in the grid."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.storage import records
from prunebench.storage.layout import Layout
from prunebench.text import safe_names

# without these a row is no cell; others may be younger than a table that was made earlier
_NEEDED = (*records.IDENTITY, "status")
Row = dict[str, str | None]
Place = tuple[str, str, str, int, str, float]  # task, regime, model, seed, method, sparsity


def read_rows(layout: Layout) -> list[Row]:
    """The rows of ``cells.csv`` as text, missing values None.

    Raises PrunebenchError where the table is absent, unreadable, or does not name its cells.
    """
    path = layout.cells_csv
    try:
        # a regime may well be called "none" or "NA"
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise PrunebenchError(f"{path} is missing: run the grid first") from None
    except (ValueError, OSError) as error:
        raise PrunebenchError(f"{path} is damaged: {error}") from error
    missing = [column for column in _NEEDED if column not in table]
    if missing:
        raise PrunebenchError(f"{path} lacks the columns {', '.join(missing)}")
    for column in records.IDENTITY[:-2]:
        safe_names.check(table[column].dropna().unique(), column, str(path))
    table = table.reindex(columns=list(records.COLUMNS))
    cells = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(column): value for column, value in cell.items()} for cell in cells]


def number(row: Row, column: str, path: Path) -> float | None:
    """A value of a row; None where it is missing, NaN or infinite.

    Raises PrunebenchError for what is no number.
    """
    text = row[column]
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        raise PrunebenchError(f"{path}: {column} is {text!r}, not a number") from None
    return value if math.isfinite(value) else None


def place_of(row: Row, path: Path) -> Place:
    """Where a row stands in the grid; PrunebenchError where it does not say so."""
    names = [row[column] for column in ("task", "regime", "model", "method")]
    seed, sparsity = number(row, "seed", path), number(row, "sparsity", path)
    task, regime, model, method = names
    if not (task and regime and model and method) or seed is None or sparsity is None:
        raise PrunebenchError(f"{path}: a row does not say which cell it is")
    return task, regime, model, int(seed), method, sparsity


def key_of(
    task: str, regime: str, model: str, seed: int, method: str, sparsity: float | None = None
) -> str:
    """Names a cell among all of an experiment; without a sparsity the whole curve."""
    curve = f"{task}/{regime}/{model}/seed-{seed}/{method}"
    return curve if sparsity is None else f"{curve}/{sparsity:.10g}"
