"""A server: one that answers nonsense or nothing, and a real one that is killed and comes back."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from prunebench.tracking import export
from tests.tracking import helpers as made_up
from tests.tracking.looking import (  # fmt: skip
    assert_equal_to_files,
    counts,
    free_port,
    nonsense,
    refused,
    runs_of,
    server,
)

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


@pytest.mark.parametrize(("status", "says"), [(500, "500"), (404, "404"), (200, "")])
def test_a_server_that_answers_nonsense(tmp_path: Path, status: int, says: str) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    with nonsense(status) as uri:
        assert says in refused(layout, uri)


def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # the user's own goes before ours
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = refused(layout, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "timed out" in text
    assert "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR" not in os.environ  # ours are gone afterwards


def test_a_server_that_dies_in_the_middle_and_comes_back(
    tmp_path: Path, results: Path, schema: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(results / "smoke", seeds=2)
    (tmp_path / "server.db").write_bytes(schema)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    original = MlflowClient.log_batch
    calls = [0]
    with server(tmp_path, port) as kill, monkeypatch.context() as patch:

        def dies(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == 4:
                kill()
            return original(self, *args, **kwargs)

        patch.setattr(MlflowClient, "log_batch", dies)
        assert uri in refused(layout)
    assert uri in refused(layout)
    with server(tmp_path, port):
        done = export(layout).cells
        assert done.created + done.replaced == 8
        assert done.unchanged == 2  # and one curve
        assert_equal_to_files(layout, runs_of(layout, uri))
        assert counts(export(layout)) == (0, 0, 0, 10)
        client = MlflowClient(uri)
        top = runs_of(layout, uri)["experiment"].info.run_id
        assert "leaderboard.html" in {item.path for item in client.list_artifacts(top)}
    assert not (results / "mlartifacts").exists()
