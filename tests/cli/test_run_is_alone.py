"""``run`` and ``remake`` work on an experiment alone, to the last page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.cli import page_commands, run_command
from prunebench.runner import pipeline
from prunebench.runner.progress import Progress
from prunebench.storage.layout import Layout
from prunebench.storage.lock import Lock
from tests.robustness.disturbed import GRID


def test_nobody_else_works_on_an_experiment_until_its_last_page_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run would take its tables for half written, and remove them under its hands."""
    taken: list[bool] = []

    def look(*given: Any) -> None:
        lock = Lock(Path("results/tiny"))
        taken.append(lock.taken)
        lock.release()

    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(json.dumps(GRID))
    monkeypatch.setattr(pipeline, "compute", look)
    writers = {"tables": look}
    monkeypatch.setattr(run_command, "page_writers", lambda trust_code: writers)
    monkeypatch.setattr(run_command, "summary", look)
    monkeypatch.setattr(Progress, "follows", lambda *given: None)
    done = CliRunner().invoke(cli.app, ["run", "tiny.yaml"], catch_exceptions=False)
    assert done.exit_code == 0
    assert taken == [False, False, True]
    taken.clear()
    monkeypatch.setattr(page_commands, "page_writers", lambda trust_code: writers)
    monkeypatch.setattr(page_commands, "cells_of", lambda results: (None, Layout(results)))
    assert CliRunner().invoke(cli.app, ["remake", "results/tiny"]).exit_code == 0
    assert taken == [False]


def test_pages_of_no_experiment_leave_nothing(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli.app, ["remake", str(tmp_path / "none")]).exit_code != 0
    assert list(tmp_path.iterdir()) == []
