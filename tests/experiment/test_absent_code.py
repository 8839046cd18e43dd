"""Python files that a stored configuration names and that are not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunebench.experiment import absent_code

MINE = {"name": "mine", "criterion": {"name": "mine.py:score", "parameters": {}}}
GRID: dict[str, Any] = {
    "tasks": [{"name": "digits"}, {"name": "own", "path": "data.py:splits"}],
    "models": ["seed-cnn"],
    "methods": ["magnitude", MINE],
    "probes": {"run": ["shrunk", "probe.py:look"], "samples": 20},
    "report": {"highlight": ["mine", "magnitude"]},
}


def test_what_can_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = absent_code.present(GRID)
    assert found.absent == {
        ("tasks", "own"): ["data.py"], ("methods", "mine"): ["mine.py"]
    }  # fmt: skip
    assert found.value == {
        "tasks": [{"name": "digits"}], "models": ["seed-cnn"], "methods": ["magnitude"],
        "probes": {"run": ["shrunk"], "samples": 20}, "report": {"highlight": ["magnitude"]},
    }  # fmt: skip


def test_nothing_is_left_out_of_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data.py", "mine.py", "probe.py"):
        (tmp_path / name).touch()
    assert absent_code.present(GRID) == absent_code.Present(GRID, {})


def test_a_description_names_no_file() -> None:
    assert absent_code.files({"name": "x", "description": "see.py:there"}) == []
