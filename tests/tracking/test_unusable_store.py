"""The store beside the results is whole, but not to be used: left as it is, with one line."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench.cli import app
from prunebench.errors import PrunebenchError
from prunebench.storage import mlflow_database
from prunebench.storage.outputs import manifest_of, recorded
from prunebench.tracking import export
from tests.tracking import helpers as made_up
from tests.tracking.looking import assert_equal_to_files, counts, refused, runs_of

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user whom the modes of files bind; root becomes nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def anybodys(schema: bytes) -> Iterator[Path]:
    """A results folder that all may write into, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        (Path(folder) / "mlflow.db").write_bytes(schema)
        yield Path(folder)


def killed_writer(path: Path) -> None:
    """Leave a database as a writer does that dies with half of its transaction on the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE more (id INTEGER PRIMARY KEY, note TEXT)")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO more (note) VALUES (?)", [("before" * 50,)] * 500)
        writer.execute("COMMIT")
        writer.execute("PRAGMA cache_size = 1")  # so that it must write before it commits
        writer.execute("BEGIN")
        writer.execute("UPDATE more SET note = upper(note)")
        left = {file: file.read_bytes() for file in (path, Path(f"{path}-journal"))}
        writer.execute("ROLLBACK")
    for file, content in left.items():
        file.write_bytes(content)
    assert b"BEFORE" in left[path]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("mlflow.db*")}


def test_another_users_database_is_left_alone(anybodys: Path) -> None:
    layout, _ = made_up.experiment(anybodys / "one", methods=())
    layout.database.chmod(0)
    with without_rights():
        assert "unable to open database file" in refused(layout)
        assert mlflow_database.fault(layout.database, "prunebench/one") == ""
    layout.database.chmod(0o600)
    assert counts(export(layout)) == (1, 0, 0, 0)
    assert list(contents(anybodys)) == ["mlflow.db"]


def test_what_a_killed_writer_left_is_not_taken_from_whom_may_mend_it(anybodys: Path) -> None:
    layout, _ = made_up.experiment(anybodys / "one", methods=())
    killed_writer(layout.database)
    for path in anybodys.glob("mlflow.db*"):
        path.chmod(0o444)
    before = contents(anybodys)
    assert len(before) == 2
    with without_rights():
        refused(layout)
        assert mlflow_database.fault(layout.database, "prunebench/one") == ""
    assert contents(anybodys) == before
    for path in anybodys.glob("mlflow.db*"):
        path.chmod(0o600)
    assert counts(export(layout)) == (1, 0, 0, 0)
    with closing(sqlite3.connect(layout.database)) as opened:
        asked = "SELECT count(*), count(*) FILTER (WHERE note GLOB 'before*') FROM more"
        assert opened.execute(asked).fetchone() == (500, 500)
    assert list(contents(anybodys)) == ["mlflow.db"]


def test_a_journal_that_cannot_be_read_is_one_line(results: Path) -> None:
    layout, _ = made_up.experiment(results / "one", methods=())
    (results / "mlflow.db-journal").mkdir()
    before = layout.database.read_bytes()
    assert "disk I/O error" in refused(layout)
    assert layout.database.read_bytes() == before
    (results / "mlflow.db-journal").rmdir()
    assert counts(export(layout)) == (1, 0, 0, 0)


def test_results_that_are_not_to_be_written_go_to_another_store(
    small_disk: Callable[[str], Path], tmp_path: Path, schema: bytes
) -> None:
    (tmp_path / "other.db").write_bytes(schema)
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    layout, _ = made_up.experiment(small_disk("size=16m,mode=755") / "results" / "one", methods=())
    with recorded(layout, "track"):
        pass
    command = ["track", str(layout.root), "--uri", uri]
    small_disk("ro")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert_equal_to_files(layout, runs_of(layout, uri))
    assert manifest_of(layout, "track").path.exists()
    small_disk("rw")
    assert CliRunner().invoke(app, command).exit_code == 0
    assert not manifest_of(layout, "track").path.exists()


@pytest.mark.parametrize("name", ["a#b", "50%", "a%3Fb%d", "a b;c&d=e@f:g+'h"])
def test_signs_that_mean_something_in_an_address(tmp_path: Path, schema: bytes, name: str) -> None:
    layout, _ = made_up.experiment(tmp_path / name / "one", methods=())
    layout.database.write_bytes(schema)
    done = export(layout)
    assert_equal_to_files(layout, runs_of(layout))
    assert all(path.is_file() and path.is_relative_to(tmp_path / name) for path in done.files)
    assert "mlartifacts" in {path.parts[len(tmp_path.parts) + 1] for path in done.files}
    assert mlflow_database.fault(layout.database, done.beside) == ""
    assert counts(export(layout)) == (0, 0, 0, 1)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_place_that_no_address_can_name_is_refused(tmp_path: Path, schema: bytes) -> None:
    layout, _ = made_up.experiment(tmp_path / "why?" / "one", methods=())
    before = sorted(tmp_path.rglob("*"))
    says = "its address may hold no '?'"
    with pytest.raises(PrunebenchError, match=re.escape(says)):
        export(layout)
    assert sorted(tmp_path.rglob("*")) == before
    output = tmp_path / "track.json"
    done = CliRunner().invoke(app, ["track", str(layout.root), "--output", str(output)])
    assert done.exit_code == 0
    assert says in output.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.rglob("*.db")] == []
    (tmp_path / "other.db").write_bytes(schema)
    assert counts(export(layout, f"sqlite:///{tmp_path / 'other.db'}")) == (1, 0, 0, 0)


def test_a_working_directory_that_would_be_read_as_sql_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(tmp_path / "results" / "one", methods=())
    work = tmp_path / "it's; DROP TABLE runs"
    work.mkdir()
    monkeypatch.chdir(work)
    with pytest.raises(PrunebenchError, match=r"the working directory may hold no \"'\"; rename"):
        export(layout)
    assert not layout.database.exists()


@pytest.mark.parametrize("name", ["mlflow.db", "mlartifacts"])
def test_a_store_that_is_a_link_is_not_written_through(tmp_path: Path, name: str) -> None:
    layout, _ = made_up.experiment(tmp_path / "results" / "smoke", methods=())
    home = tmp_path / "home"
    if name == "mlartifacts":
        home.mkdir()
    else:
        home.write_text("the user's own")
    (tmp_path / "results" / name).symlink_to(home)
    with pytest.raises(PrunebenchError, match=rf"{name} is a symbolic link: .*MLFLOW_TRACKING_URI"):
        export(layout)
    assert [path.name for path in tmp_path.iterdir() if path.name != "results"] == ["home"]
    assert [*home.iterdir()] == [] if home.is_dir() else home.read_text() == "the user's own"
