"""MLflow's database looked at without MLflow: whole, damaged, empty, missing, in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from prunebench.database import fault


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE experiments (name TEXT)")
        made.execute("INSERT INTO experiments VALUES ('prunebench/mine')")
        made.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, note TEXT)")
        made.executemany("INSERT INTO runs (note) VALUES (?)", [("x" * 200,)] * 500)
    made.close()
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def blank(path: Path) -> None:
    """A block in the middle that was never written."""
    content = bytearray(path.read_bytes())
    content[8192:16384] = bytes(8192)
    path.write_bytes(content)


def other(path: Path) -> None:
    path.write_text("this is no database\n" * 1000)


def test_a_whole_one_has_no_fault(database: Path) -> None:
    assert fault(database) == fault(database, "prunebench/mine") == ""
    assert "has no experiment 'prunebench/other'" in fault(database, "prunebench/other")


@pytest.mark.parametrize(
    ("damage", "says"),
    [(cut, "malformed"), (blank, ""), (other, "not a database"),
     (lambda path: path.write_bytes(b""), "empty"), (Path.unlink, "missing")],
)  # fmt: skip
def test_a_damaged_one_is_described(
    database: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(database)
    assert says in fault(database)
    assert database.exists() == (says != "missing")


def test_one_that_somebody_writes_into_is_not_damaged(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0))
    writer = connect(database)
    writer.execute("BEGIN EXCLUSIVE")
    assert fault(database) == ""
    writer.close()
