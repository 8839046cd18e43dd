"""MLflow's SQLite file looked at without MLflow: is it whole, and is an experiment in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}  # somebody works with it, so it works


def fault(path: Path, experiment: str | None = None) -> str:
    """What is wrong with the database, in words; "" where nothing is.

    ``experiment``: the name of one that must be in it.
    """
    if not path.is_file():
        return "it is missing"
    if not path.stat().st_size:
        return "it is empty"
    try:
        with closing(sqlite3.connect(path, timeout=20)) as opened:
            (said,) = opened.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                return str(said)
            if experiment is None:
                return ""
            asked = "SELECT count(*) FROM experiments WHERE name = ?"
            (there,) = opened.execute(asked, [experiment]).fetchone()
            return "" if there else f"it has no experiment {experiment!r}"
    except sqlite3.Error as error:
        return "" if getattr(error, "sqlite_errorcode", None) in _BUSY else str(error)
