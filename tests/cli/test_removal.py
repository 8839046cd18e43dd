"""What removes files of a user's: only what it says, and only once it was asked to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.storage.lock import locked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "x"
    (folder / "tables").mkdir(parents=True)
    (folder / "cells.csv").write_text("a\n")
    (folder / "config.json").write_text("{}")
    return folder


def remove(*arguments: str | Path, answer: str = "") -> str:
    done = CliRunner().invoke(cli.app, ["remove", *map(str, arguments)], input=answer)
    return str(done.exception) if isinstance(done.exception, PrunebenchError) else done.output


def test_cleaning_leaves_what_people_made(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = [
        "data/reviews/train.csv", "results/mine/cells.csv", "results/reference/cells.csv",
        "results/mlflow.db", "results/mlartifacts/1/a", "config/mine.yaml",
    ]  # fmt: skip
    gone = [".venv/a", "site/index.html"]  # of data see tests/workflow/test_clean.py
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*kept, "Makefile"}


def test_results_are_removed_when_somebody_says_so(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--yes" in remove(results, answer="y\n")  # nobody to ask
    monkeypatch.setattr("prunebench.cli.results_commands._asks", lambda: True)
    for answer in ("n\n", "\n", ""):  # and at the end of input
        assert remove(results, answer=answer).endswith(f"{results}: nothing was removed\n")
    with locked(results):
        assert "another command is at work" in remove(results, "--yes")
    assert results.is_dir()
    (results.parent / "y").mkdir()
    remove(results, answer="y\n")
    assert [path.name for path in results.parent.iterdir()] == ["y"]


def test_what_is_no_results_folder_is_never_removed(results: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(results, target_is_directory=True)
    for folder in (tmp_path / "home", results / "tables", tmp_path / "link", tmp_path / "none"):
        assert "is no experiment's folder" in remove(folder, "--yes")
    assert (results / "cells.csv").is_file()
    assert (tmp_path / "home").is_dir()
    # a table of somebody's, and what was made to be submitted
    (tmp_path / "home" / "cells.csv").write_text("a\n")
    assert "is no experiment's folder" in remove(tmp_path / "home", "--yes")
    (results / "submission.yaml").write_text("name: x\n")
    assert "is a submission" in remove(results, "--yes")
    assert (results / "cells.csv").is_file()
    (results / "submission.yaml").unlink()
    assert "removed" in remove(results, "--yes")
    assert not results.exists()
