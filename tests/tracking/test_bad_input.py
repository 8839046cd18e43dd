"""Damaged files and unusable stores: one line each, with the way out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_json, write_json
from prunebench.storage.layout import HISTORY, Layout
from prunebench.tracking import export, server_command
from prunebench.tracking.experiment_run import experiment_run
from prunebench.tracking.mlflow_runs import read_runs
from tests.tracking import helpers as made_up
from tests.tracking.looking import free_port, refused

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


def _spoil_table(layout: Layout) -> None:
    layout.cells_csv.write_bytes(b"\xff\xfe\x00")


def _drop_column(layout: Layout) -> None:
    pd.read_csv(layout.cells_csv).drop(columns="status").to_csv(layout.cells_csv, index=False)


def _double_row(layout: Layout) -> None:
    text = layout.cells_csv.read_text(encoding="utf-8")
    layout.cells_csv.write_text(text + text.splitlines()[1] + "\n", encoding="utf-8")


def _spoil_history(layout: Layout) -> None:
    next(layout.root.rglob(HISTORY)).write_text('[{"epoch": 1,', encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda layout: layout.cells_csv.unlink(), "is not there"),
        (_spoil_table, "is no table of cells"),
        (_drop_column, r"lacks the column\(s\) status"),
        (_double_row, "more than once"),
        (_spoil_history, "history.json is damaged"),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path, spoil: Callable[[Layout], None], says: str
) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    spoil(layout)
    with pytest.raises(PrunebenchError, match=says):
        export(layout)
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("value", [None, 1.0, "x", [], [1], {"a": 1}])
def test_a_configuration_with_values_of_another_kind_is_no_traceback(
    tmp_path: Path, value: Any
) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    config = read_json(layout.config) if layout.config.exists() else {}
    keys = ("tasks", "regimes", "models", "methods", "seeds", "sparsities", "training")
    for key in keys:
        write_json(layout.config, {**config, key: value})
        experiment_run(layout, read_runs(layout))


def test_unusable_stores_are_one_line(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    (tmp_path / "not.db").write_bytes(b"this is no database, but long enough to be read" * 50)
    assert "not a database" in refused(layout, f"sqlite:///{tmp_path / 'not.db'}")
    (tmp_path / "folder.db").mkdir()
    assert "unable to open" in refused(layout, f"sqlite:///{tmp_path / 'folder.db'}")
    refused(layout, "nonsense://user:secret@host/x")
    text = refused(layout, f"http://user:secret@127.0.0.1:{free_port()}")
    assert "refused" in text
    assert "secret" not in text


def test_the_command_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = server_command(Layout(Path("results/smoke")))
    assert command.endswith("mlflow ui --backend-store-uri sqlite:///results/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@server:5000")
    assert server_command(Layout(Path("results/smoke"))) == "http://server:5000/***"


@pytest.mark.parametrize(
    "answer",
    [
        "[]", "3", "null", '{"experiment": 3}', '{"experiment": {"tags": 1}}', "<html>", "",
        # half a character, in a value and in the name of one
        r'{"experiment": {"name": "\ud800"}}', r'{"experiment": {"\ud800": "x"}}',
        '{"experiment": {"experiment_id": "1", "lifecycle_stage": "active"},'
        ' "runs": [{"info": {"status": Infinity}}]}',
    ],
)  # fmt: skip
def test_a_server_that_answers_something_else(
    tmp_path: Path, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        text = refused(layout, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert text.startswith("cannot export to MLflow at http://127.0.0.1:")
