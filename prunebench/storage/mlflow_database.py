"""MLflow's SQLite file looked at without MLflow: is it whole, and is an experiment in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

# All else says that the file cannot be looked at now, not that it is damaged: another user's, a
# full disk, in use, a writer's transaction that only somebody with more rights can take back.
_DAMAGE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def fault(path: Path, experiment: str | None = None) -> str:
    """What is wrong with the database, in words; "" where nothing is, or where nobody can say.

    ``experiment``: the name of one that must be in it.
    """
    try:
        return look(path, experiment)
    except sqlite3.Error:
        return ""


def look(path: Path, experiment: str | None = None) -> str:
    """As ``fault``; raises sqlite3.Error where the database cannot be looked at."""
    if not path.is_file():
        return "it is missing"
    if not path.stat().st_size:
        return "it is empty"
    try:
        with closing(sqlite3.connect(path, timeout=20)) as opened:
            (said,) = opened.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                return " ".join(str(said).split())
            if experiment is None or _has(opened, experiment):
                return ""
            return f"it has no experiment {experiment!r}"
    except sqlite3.Error as error:
        # the lowest eight bits of a code are the error, the others say more of its cause
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
            return str(error)
        raise


def _has(opened: sqlite3.Connection, experiment: str) -> bool:
    table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'experiments'"
    if not opened.execute(table).fetchone()[0]:
        return False
    asked = "SELECT count(*) FROM experiments WHERE name = ?"
    return bool(opened.execute(asked, [experiment]).fetchone()[0])
