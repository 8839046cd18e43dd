"""MLflow's database looked at without MLflow: whole, damaged, empty, missing, out of reach."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from prunebench.storage.mlflow_database import fault, number_of


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT)")
        made.execute("INSERT INTO experiments VALUES (7, 'prunebench/mine')")
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


def test_the_number_of_an_experiment(database: Path) -> None:
    assert number_of(database, "prunebench/mine") == "7"
    assert number_of(database, "prunebench/other") == ""
    for damage in (other, Path.unlink):
        damage(database)
        assert number_of(database, "prunebench/mine") == ""
    assert not database.exists()  # to ask makes no file


@pytest.mark.parametrize(
    ("damage", "says"),
    [(cut, "malformed"), (blank, "btreeInitPage"), (other, "not a database"),
     (lambda path: path.write_bytes(b""), "empty"), (Path.unlink, "missing")],
)  # fmt: skip
def test_a_damaged_one_is_described(
    database: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(database)
    found = fault(database)
    assert says in found
    assert "\n" not in found
    assert database.exists() == (says != "missing")


def test_one_that_somebody_writes_into_is_not_damaged(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0))
    writer = connect(database)
    writer.execute("BEGIN EXCLUSIVE")
    assert fault(database) == ""
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        fault(database, strict=True)
    writer.close()


def test_one_whose_journal_cannot_be_read_is_not_damaged(database: Path) -> None:
    database.with_name("mlflow.db-journal").mkdir()
    assert fault(database) == ""
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        fault(database, strict=True)


def test_one_of_something_else_is_whole_but_has_no_experiment(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE notes (text TEXT)")
    made.close()
    assert fault(path) == ""
    assert fault(path, "prunebench/mine") == "it has no experiment 'prunebench/mine'"


# the extended codes too; these cannot be provoked in a moment
@pytest.mark.parametrize(
    ("code", "damaged"),
    [("SQLITE_FULL", False), ("SQLITE_NOMEM", False), ("SQLITE_BUSY_RECOVERY", False),
     ("SQLITE_BUSY_SNAPSHOT", False), ("SQLITE_READONLY_ROLLBACK", False),
     ("SQLITE_CANTOPEN_ISDIR", False), ("SQLITE_CORRUPT_INDEX", True)],
)  # fmt: skip
def test_only_some_of_the_errors_are_damage(
    database: Path, monkeypatch: pytest.MonkeyPatch, code: str, damaged: bool
) -> None:
    def fails(*args: object, **kwargs: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("as SQLite says it")
        error.sqlite_errorcode = getattr(sqlite3, code)
        raise error

    monkeypatch.setattr(sqlite3, "connect", fails)
    assert fault(database) == ("as SQLite says it" if damaged else "")
