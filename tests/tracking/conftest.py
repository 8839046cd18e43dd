"""A database with MLflow's schema, made once; nothing of the user's own settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mlflow import MlflowClient

from prunebench.tracking import export
from tests.tracking import helpers as made_up


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty database: making one takes longer than most of the tests."""
    layout, _ = made_up.experiment(tmp_path_factory.mktemp("schema") / "e", methods=())
    export(layout)
    path = layout.root.parent / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}")
    found = client.get_experiment_by_name("prunebench/e")
    assert found is not None
    client.rename_experiment(found.experiment_id, "old")
    client.delete_experiment(found.experiment_id)
    return path.read_bytes()


@pytest.fixture
def results(tmp_path: Path, schema: bytes) -> Path:
    """A results folder with a database that has no experiment yet."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mlflow.db").write_bytes(schema)
    return tmp_path / "results"
