"""MLflow's SQLite file without MLflow: whether it is whole, and which experiments it has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

# Any other error says that the file cannot be checked now, not that it is damaged: it is another
# user's or in use, the disk is full, or only somebody with more rights can take back a transaction.
_DAMAGE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def fault(path: Path, experiment: str | None = None, strict: bool = False) -> str:
    """Return in words what is wrong with a database; "" where nothing is.

    Args:
        path: of the database.
        experiment: the name of an experiment that must be in it.
        strict: raise where the database cannot be checked now, instead of returning "".

    Raises:
        sqlite3.Error: it cannot be checked, and ``strict``.
    """
    if not path.is_file():
        return "it is missing"
    if not path.stat().st_size:
        return "it is empty"
    try:
        with closing(sqlite3.connect(path, timeout=20)) as opened:
            (said,) = opened.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                return " ".join(str(said).split())
            if experiment is None or _number(opened, experiment):
                return ""
            return f"it has no experiment {experiment!r}"
    except sqlite3.Error as error:
        # the lowest eight bits of a code are the error, the others say more of its cause
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
            return str(error)
        if strict:
            raise
        return ""


def number_of(path: Path, experiment: str) -> str:
    """Return MLflow's number of an experiment; "" where it has none, or cannot be asked now.

    Args:
        path: of the database.
        experiment: its name in MLflow.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            return _number(opened, experiment)
    except sqlite3.Error:
        return ""


def _number(opened: sqlite3.Connection, experiment: str) -> str:
    table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'experiments'"
    if not opened.execute(table).fetchone()[0]:
        return ""
    asked = "SELECT experiment_id FROM experiments WHERE name = ?"
    found = opened.execute(asked, [experiment]).fetchone()
    return str(found[0]) if found else ""
