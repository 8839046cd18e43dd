"""Only the database beside the results is written without waiting for the disk."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from prunebench.tracking import export
from prunebench.tracking.connect import quick_commits
from tests.tracking import helpers as made_up

FULL, OFF = 2, 0  # as SQLite numbers them


def synchronous(path: Path) -> int:
    """What a connection that MLflow would open now has."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())


@pytest.mark.parametrize(("ours", "found"), [(True, OFF), (False, FULL)])
def test_a_connection_waits_for_the_disk_or_not(tmp_path: Path, ours: bool, found: int) -> None:
    with quick_commits(ours):
        assert synchronous(tmp_path / "some.db") == found
    assert synchronous(tmp_path / "some.db") == FULL


def test_an_export_knows_whose_database_it_is(results: Path, monkeypatch) -> None:
    asked: list[int] = []
    module = import_module("prunebench.tracking.connect")  # the package has a function of that name
    monkeypatch.setattr(module, "_do_not_wait", lambda *_: asked.append(1))
    layout, _ = made_up.experiment(results / "e", methods=())
    named = results.parent / "elsewhere.db"
    named.write_bytes((results / "mlflow.db").read_bytes())
    export(layout, f"sqlite:///{named}")
    assert not asked
    export(layout)
    assert asked
