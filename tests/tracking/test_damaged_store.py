"""The store beside the results is damaged: put aside, made anew, every run and file in it again."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench.cli import app
from prunebench.storage import outputs
from prunebench.storage.files import read_sealed
from prunebench.storage.layout import Layout
from prunebench.storage.outputs import recorded
from prunebench.tracking import export
from tests.conftest import ROOT
from tests.tracking import helpers as made_up
from tests.tracking.looking import assert_equal_to_files, counts, refused, runs_of

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
            with recorded(layout, step):
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
    assert outputs.damaged(one) == outputs.damaged(two) == {}
    before = one.database.stat().st_size
    half(one.database)
    content = one.database.read_bytes()
    assert list(outputs.damaged(one)) == [one.database]
    assert not one.steps()["track"].exists()  # so the workflow exports again
    warning, _ = in_a_process(one).splitlines()
    assert one.database.with_name("mlflow.db.damaged").read_bytes() == content
    assert "put aside as mlflow.db.damaged" in warning
    assert "python -m prunebench track" in warning
    assert_equal_to_files(one, runs_of(one))
    assert one.database.stat().st_size > before / 2
    # the other's runs were in it too; nobody told its own workflow
    assert list(outputs.damaged(two)) == [two.database]
    in_a_process(two)
    assert_equal_to_files(two, runs_of(two))
    assert_equal_to_files(one, runs_of(one))
    assert outputs.damaged(one) == outputs.damaged(two) == {}


def test_what_sqlite_mends_a_database_by_goes_with_it(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    content = layout.database.read_bytes()
    with closing(sqlite3.connect(layout.database)) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("CREATE TABLE mine (note TEXT)")
        writer.execute("INSERT INTO mine VALUES ('written last')")
        writer.commit()
        half(layout.database)
        assert counts(export(layout)) == (1, 0, 0, 0)
        assert "put aside as mlflow.db.damaged;" in capsys.readouterr().err
        assert_equal_to_files(layout, runs_of(layout))
        # as somebody may do who has a copy of the file, but not of what was written last
        (tmp_path / "mended.db").write_bytes(content)
        for ending in ("-wal", "-shm"):
            kept = (results / f"mlflow.db.damaged{ending}").read_bytes()
            (tmp_path / f"mended.db{ending}").write_bytes(kept)
    with closing(sqlite3.connect(tmp_path / "mended.db")) as mended:
        assert mended.execute("SELECT note FROM mine").fetchone() == ("written last",)


def test_one_that_was_put_aside_before_is_kept(results: Path) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    (results / "mlflow.db.damaged").write_text("the first")
    layout.database.write_text("the second")
    # of the second, only the journal was put aside before the export was killed
    (results / "mlflow.db.damaged-2-journal").write_text("of the second")
    export(layout)
    kept = {path.name: path.read_text() for path in results.glob("mlflow.db.damaged*")}
    assert kept == {
        "mlflow.db.damaged": "the first",
        "mlflow.db.damaged-2": "the second",
        "mlflow.db.damaged-2-journal": "of the second",
    }


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
    assert list(outputs.damaged(layout)) == [copy]
    assert CliRunner().invoke(app, command(layout)).exit_code == 0
    assert copy.read_bytes() == content
    assert counts(export(layout)) == (0, 0, 0, 1)
    assert outputs.damaged(layout) == {}


def test_an_export_by_hand_sees_copies_of_another_length(results: Path) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    export(layout)
    (copy,) = (path for path in (results / "mlartifacts").rglob("leaderboard.html"))
    content = copy.read_bytes()
    half(copy)
    export(layout)
    assert copy.read_bytes() == content
