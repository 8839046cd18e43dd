"""The store beside the results is damaged: put aside, made anew, every run and file in it again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench import made
from prunebench.cli import app
from prunebench.files import read_sealed
from prunebench.layout import Layout
from prunebench.made import making
from prunebench.track import export
from tests import track_helpers as made_up
from tests.conftest import ROOT
from tests.track.looking import assert_equal_to_files, counts, refused, runs_of

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def noted(layout: Layout) -> None:
    """As if the workflow had made what there is but the export."""
    for step, output in layout.steps().items():
        if step != "track" and output.exists():
            with making(layout, step):
                pass


def command(layout: Layout) -> list[str]:
    """What the workflow does to export."""
    return ["track", str(layout.root), "--output", str(layout.steps()["track"])]


def in_a_process(layout: Layout) -> str:
    """The same in a process of its own, since MLflow keeps a database open; what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "prunebench", *command(layout)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert read_sealed(layout.steps()["track"])["exported"], done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_damaged_database_is_put_aside(results: Path) -> None:
    one, _ = made_up.experiment(results / "one", methods=())
    two, _ = made_up.experiment(results / "two", methods=())
    noted(one)
    noted(two)
    in_a_process(one)
    in_a_process(two)
    assert made.damaged(one) == made.damaged(two) == []
    before = one.database.stat().st_size
    half(one.database)
    content = one.database.read_bytes()
    assert made.damaged(one) == [one.database]
    assert not one.steps()["track"].exists()  # so the workflow exports again
    warning, _ = in_a_process(one).splitlines()
    assert one.database.with_name("mlflow.db.damaged").read_bytes() == content
    assert "put aside as mlflow.db.damaged" in warning
    assert "python -m prunebench track" in warning
    assert_equal_to_files(one, runs_of(one))
    assert one.database.stat().st_size > before / 2
    # the other's runs were in it too; nobody told its own workflow
    assert made.damaged(two) == [two.database]
    in_a_process(two)
    assert_equal_to_files(two, runs_of(two))
    assert_equal_to_files(one, runs_of(one))
    assert made.damaged(one) == made.damaged(two) == []


def test_somebody_elses_database_is_not_moved(results: Path, tmp_path: Path) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    other = tmp_path / "other.db"
    other.write_bytes((results / "mlflow.db").read_bytes())
    half(other)
    text = refused(layout, f"sqlite:///{other}")
    assert "malformed" in text
    assert "move it away" in text
    assert other.exists()


def test_an_empty_database_is_made_anew(results: Path) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    (results / "mlflow.db").write_bytes(b"")
    assert counts(export(layout)) == (1, 0, 0, 0)
    assert_equal_to_files(layout, runs_of(layout))


@pytest.mark.parametrize("damage", [half, flip, Path.unlink])
def test_a_damaged_copy_is_copied_again(results: Path, damage: Callable[[Path], None]) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    noted(layout)
    assert CliRunner().invoke(app, command(layout)).exit_code == 0
    (copy,) = (path for path in (results / "mlartifacts").rglob("leaderboard.html"))
    content = copy.read_bytes()
    damage(copy)
    assert made.damaged(layout) == [copy]
    assert CliRunner().invoke(app, command(layout)).exit_code == 0
    assert copy.read_bytes() == content
    assert counts(export(layout)) == (0, 0, 0, 1)
    assert made.damaged(layout) == []


def test_an_export_by_hand_sees_copies_of_another_length(results: Path) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    export(layout)
    (copy,) = (path for path in (results / "mlartifacts").rglob("leaderboard.html"))
    content = copy.read_bytes()
    half(copy)
    export(layout)
    assert copy.read_bytes() == content
