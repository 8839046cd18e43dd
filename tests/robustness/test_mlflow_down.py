"""The step of the workflow that exports to MLflow, with no server there: the grid completes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench.cli import app
from tests.tracking import helpers as made_up

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


def test_the_grid_completes_without_a_server_and_the_export_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    layout, _ = made_up.experiment(tmp_path / "results" / "smoke", methods=())
    output = layout.root / "jobs" / "track.json"
    command = ["track", str(layout.root), "--output", str(output)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    down = CliRunner().invoke(app, command)
    assert down.exit_code == 0, down.output
    said = json.loads(output.read_text())
    assert not said["exported"]
    assert f"python -m prunebench track {layout.root}" in said["message"]
    # by hand the same is an error: nobody looks into a file for it
    assert CliRunner().invoke(app, command[:2]).exit_code != 0
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert CliRunner().invoke(app, command).exit_code == 0
    assert json.loads(output.read_text())["exported"]
