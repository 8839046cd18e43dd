"""Results of others are kept apart from what was run here; the column ``published`` says whose.

No published row changes a number of what was run here: another group's data, budget and seeds are
not one's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

COLUMN = "published"
MARK = "published, not re-run"


def origin(cells: pd.DataFrame) -> pd.Series:
    """Whose each row is; "" is what was run here."""
    if COLUMN not in cells.columns:
        return pd.Series("", cells.index, dtype=object)
    return cells[COLUMN].astype(object).where(cells[COLUMN].notna(), "")


def own(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows that were run here."""
    return cells[origin(cells) == ""]


def others(cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The published rows, source by source in alphabetical order."""
    whose = origin(cells)
    for source in sorted(set(whose) - {""}):
        yield str(source), cells[whose == source]


def named(method: str, source: str) -> str:
    """A published method as it is shown: ``SynFlow (Tanaka 2020)``."""
    return f"{method} ({source})"
