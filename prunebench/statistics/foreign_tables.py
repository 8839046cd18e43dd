"""Tables that prunebench did not write: what they lack is filled in, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError, suggest
from prunebench.statistics.cells_table import read_text, typed
from prunebench.storage.records import DENSE, FAILED, OK

NEEDED = ("method", "sparsity", "test_error")
UNNAMED = "unnamed"
UNKNOWN = "unknown"  # family


def read_table(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Read any tidy CSV with the columns ``NEEDED``, as ``read_cells`` does; say what was filled.

    A table without ``task``, ``regime`` or ``model`` has one of each, without ``seed`` one seed,
    without ``experiment`` the file's name; without ``status`` a row is ok if it has a test error
    and failed if not. Values that are there are never changed.
    Raises PrunebenchError as ``read_cells`` does.
    """
    raw = read_text(path)
    missing = [column for column in NEEDED if column not in raw.columns]
    if missing:
        hint = suggest(missing[0], map(str, raw.columns))
        raise PrunebenchError(f"{path} lacks the column(s) {', '.join(missing)}{hint}")
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
    lacking = [column for column in filled if column not in raw.columns]
    notes = [f"no column {column}: {filled[column][1]}" for column in lacking]
    for column in lacking:
        raw[column] = filled[column][0]
    return typed(raw, str(path)), notes
