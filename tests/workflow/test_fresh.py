"""The README's two commands, in a fresh clone without an environment. Minutes: by hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import copy_of_checkout

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_of_checkout(tmp_path_factory.mktemp("fresh"))
    (folder / ".venv").unlink()
    return folder


def run(clone: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=clone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def test_benchmark(clone: Path) -> None:
    output = run(clone, "make", "benchmark")
    assert "[544/544]" in output
    assert (clone / "results" / "default" / "leaderboard.html").exists()
    again = run(clone, "make", "benchmark")
    assert "Nothing to be done" in again
    assert "Where to look" in again


def test_test(clone: Path) -> None:
    shutil.rmtree(clone / "results", ignore_errors=True)
    assert " passed" in run(clone, "make", "test")
