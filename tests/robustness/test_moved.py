"""An experiment's folder that was copied, renamed, linked, brought from elsewhere or written in.

Nothing that is whole is taken for damage, and nothing of anybody is lost.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from prunebench.cli import app
from prunebench.cli.app import plan_of
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import damaged_files
from prunebench.storage import outputs
from prunebench.storage.files import read_sealed, write_sealed, write_text
from prunebench.storage.layout import Layout
from prunebench.storage.lock import Lock
from prunebench.storage.outputs import manifest_of, recorded
from prunebench.storage.provenance import outdated
from tests.messages import unsaid
from tests.robustness.disturbed import GRID

PAGES = {
    "collect": ["cells.csv", "provenance.json"], "tables": ["tables/generalization.csv"],
    "figures": ["figures/forest.pdf"], "report": ["report.html"], "kit": ["paper/macros.tex"],
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An experiment of which there are pages, and MLflow's copies beside it."""
    plan = Plan(config.parse(GRID), tmp_path / "results")
    plan.write()
    for step, names in PAGES.items():
        with recorded(plan.layout, step) as written:
            for name in names:
                write_text(plan.layout.root / name, f"{name}\n")
                written.append(plan.layout.root / name)
    with recorded(plan.layout, "track") as written:
        copy = plan.layout.artifacts / "1" / "report.html"
        write_text(copy, "a copy\n")
        write_sealed(plan.layout.steps()["track"], {"exported": True, "beside": "x"})
        written.append(copy)
    with closing(sqlite3.connect(plan.layout.database)) as made_up:
        made_up.execute("CREATE TABLE experiments (name TEXT)")
        made_up.execute("INSERT INTO experiments VALUES ('x')")
        made_up.commit()
    return plan.layout.root


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def check(root: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["check-files", str(root), *options])


def copied(root: Path) -> Path:
    return Path(shutil.copytree(root, root.with_name("backup"), copy_function=shutil.copy2))


def renamed(root: Path) -> Path:
    return root.rename(root.with_name("renamed"))


def linked(root: Path) -> Path:
    place = root.parent / "deep" / "run7"
    place.parent.mkdir()
    root.rename(place)
    root.symlink_to(place)
    return root


def elsewhere(root: Path) -> Path:
    place = root.parents[1] / "archive" / "tiny"
    return Path(shutil.copytree(root, place, copy_function=shutil.copy2))


@pytest.mark.parametrize("move", [copied, renamed, linked, elsewhere])
def test_a_folder_that_was_moved_is_whole(root: Path, move: Callable[[Path], Path]) -> None:
    place = move(root)
    before = files(place)
    result = check(place)
    assert result.exit_code == 0, result.output
    assert "damaged" not in result.output
    assert files(place) == before


def test_a_copy_is_told_of_alone(root: Path) -> None:
    """And not of a store of MLflow's that lies beside the copy and is another's."""
    place = elsewhere(root)
    other = Layout(place)
    other.artifacts.mkdir()
    other.database.write_text("another's")
    before = files(place.parent)
    for repair in ([], ["--repair"]):
        result = check(place, *repair)
        assert result.exit_code == 0, result.output
        assert "damaged" not in result.output
    assert files(place.parent) == before | {"tiny/.lock"}


def test_an_export_to_a_server_is_left_alone(root: Path) -> None:
    layout = Layout(root)
    layout.database.unlink()
    shutil.rmtree(layout.artifacts)
    with recorded(layout, "track"):
        write_sealed(layout.steps()["track"], {"exported": True, "beside": None})
    before = files(root)
    assert outputs.damaged(layout) == {}
    assert files(root) == before


@pytest.mark.parametrize("move", [copied, elsewhere])
def test_a_copy_is_looked_at_for_itself(root: Path, move: Callable[[Path], Path]) -> None:
    place = move(root)
    before = files(root)
    write_text(place / "report.html", "changed\n")
    result = check(place)
    assert result.exit_code == 1
    assert f"damaged: {place / 'report.html'} is" in result.output
    assert files(root) == before
    assert check(root).exit_code == 0
    write_text(root / "report.html", "changed\n")
    assert check(root).exit_code == 1


def test_the_folder_from_within(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert Layout(Path()).database == root.parent / "mlflow.db"
    with recorded(Layout(Path()), "report") as written:
        written.append(Layout(Path()).report("html"))
    assert "damaged" not in check(root).output


def test_without_notes_nothing_goes(root: Path) -> None:
    shutil.rmtree(root / "jobs" / "noted")
    write_text(root / "report.html", "mine\n")
    before = files(root)
    result = check(root)
    assert result.exit_code == 0
    unseen = "collect, tables, figures, report, kit, track"
    assert unsaid(result.output, "not looked at", unseen) == []
    assert files(root) == before
    assert damaged_files.damaged(plan_of(root / "config.json"), root / "data") == {}
    assert files(root) == before


def test_a_note_that_names_files_elsewhere_is_refused(root: Path) -> None:
    theirs = root.parent / "theirs"
    write_text(theirs, "of somebody\n")
    for name in ("../theirs", str(theirs), "figures/../../theirs"):
        write_sealed(manifest_of(Layout(root), "report").path, {"files": {name: [1, "0" * 64]}})
        assert set(outputs.damaged(Layout(root))) == {manifest_of(Layout(root), "report").path}
        assert theirs.exists()
        write_text(root / "report.html", "a page\n")


def test_what_was_written_by_hand_is_kept_each_time(root: Path) -> None:
    for text in ("first\n", "second\n", "third\n"):
        write_text(root / "paper" / "macros.tex", text)
        [(_, kept)] = outputs.damaged(Layout(root)).items()
        assert kept is not None
        assert kept.read_text() == text
        with recorded(Layout(root), "kit") as written:
            write_text(root / "paper" / "macros.tex", "made\n")
            written.append(root / "paper" / "macros.tex")
    kept_all = sorted(path.read_text() for path in (root / "damaged" / "paper").iterdir())
    assert kept_all == ["first\n", "second\n", "third\n"]


def test_what_was_added_to_a_folder_is_kept_when_it_goes(root: Path) -> None:
    write_text(root / "figures" / "mine.png", "mine\n")
    assert outputs.damaged(Layout(root)) == {}
    (root / "figures" / "forest.pdf").unlink()
    outputs.damaged(Layout(root))
    assert not (root / "figures").exists()
    assert (root / "damaged" / "figures" / "mine.png").read_text() == "mine\n"


@pytest.mark.parametrize("step", ["collect", "tables", "figures", "leaderboard", "report"])
def test_a_crate_goes_when_what_it_describes_is_made_anew(root: Path, step: str) -> None:
    layout = Layout(root)
    write_text(layout.crate, "{}")
    with recorded(layout, "kit"):
        assert layout.crate.exists()
    with recorded(layout, step):
        assert not layout.crate.exists()


def test_without_the_right_to_write_damage_is_named_alone(
    root: Path, small_disk: Callable[[str], Path]
) -> None:
    place = small_disk("size=9m") / "results" / "tiny"
    shutil.copytree(root, place, copy_function=shutil.copy2)
    write_text(place / "report.html", "changed\n")
    before = files(place)
    small_disk("size=9m,ro")
    result = check(place)
    assert result.exit_code == 1, result.output
    assert f"damaged: {place / 'report.html'} is" in result.output
    assert files(place) == before


def test_a_table_of_other_settings_is_told_of(root: Path) -> None:
    write_text(root / "provenance.json", '{"config_sha256": "0", "cells_sha256": "0"}')
    layout = Layout(root)
    told = outdated(layout.provenance, layout.config, layout.cells_csv)
    assert "is of other settings" in told
    assert outdated(layout.root / "none.json", layout.config, layout.cells_csv) == ""


def test_a_lock_that_is_held_is_left_alone(root: Path) -> None:
    lock = Lock(root)
    try:
        result = check(root, "--repair")
    finally:
        lock.release()
    assert isinstance(result.exception, PrunebenchError)
    assert read_sealed(manifest_of(Layout(root), "report").path)
