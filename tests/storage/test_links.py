"""Links that were planted in an experiment's folder: nothing outside is written, moved, removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.storage import links, outputs
from prunebench.storage.files import (
    move,
    remove_file,
    remove_tree,
    replacing,
    write_sealed,
    write_text,
)  # fmt: skip
from prunebench.storage.layout import CHECKPOINTS, LOCK, RECORD, REMOVED, STEPS, Layout
from prunebench.storage.lock import Lock, process_lock, write_held
from prunebench.storage.manifest import removal
from prunebench.storage.provenance import copy_workflow

KEPT = "the user's own"
CELL = (
    Layout(Path()).cell("digits", "clean", "net", 0, "magnitude", 0.5).relative_to(Path().resolve())
)
# every kind of file that the suite writes below an experiment's folder
PLACES = [
    "config.json", "provenance.json", "latency.csv", "layers.csv", "race.csv",
    "jobs/curves/a.json", "jobs/noted/tables.json", "jobs/running/curves/a.json",
    "jobs/measured.txt", "logs/curves/a.log", "published/a.csv", "tables/a.csv",
    "figures/a.png", "paper/a.tex", "workflow/workflows/a.smk", "damaged/figures/a.png",
    "export/a/README.md", str(CELL / RECORD), str(CELL.parent / CHECKPOINTS / "a.pt"),
    *(step.output for step in STEPS.values() if step.output != "cells.csv"),
]  # fmt: skip
WAYS: dict[str, Callable[[Path, Path], object]] = {
    "write": lambda path, root: write_text(path, "theirs"),
    "write JSON": lambda path, root: write_sealed(path, {"a": 1}),
    "write in place": lambda path, root: write_held(path, "theirs"),
    "lock": lambda path, root: process_lock(path).acquire(),
    "remove": lambda path, root: remove_file(path),
    "remove a folder": lambda path, root: remove_tree(path),
    "move away": lambda path, root: move(path, root / "aside" / "x"),
    "move there": lambda path, root: move(root / "cells.csv", path),
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "x"
    folder.mkdir(parents=True)
    (folder / "cells.csv").write_text("a\n")
    return folder


def state(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", PLACES)
def test_no_folder_that_is_a_link_is_written_through(root: Path, outside: Path, place: str) -> None:
    steps = Path(place).parts
    for depth in range(1, len(steps)):
        link = root / Path(*steps[:depth])
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside, target_is_directory=True)
        with pytest.raises(PrunebenchError, match="is a symbolic link"):
            links.refuse(root / place)
        with pytest.raises(PrunebenchError, match="is a symbolic link"):
            links.refuse_below(root)
        link.unlink()


@pytest.mark.parametrize("way", WAYS)
def test_all_that_writes_moves_or_removes_refuses_links(
    root: Path, outside: Path, way: str
) -> None:
    (outside / "a" / "b").mkdir(parents=True)
    for name in ("x", "a/x", "a/b/x"):
        (outside / name).write_text(KEPT)
    (root / "linked").symlink_to(outside, target_is_directory=True)
    before = state(outside)
    for name in before:
        place = root / "linked" / Path(name).relative_to(outside)
        with pytest.raises(PrunebenchError, match="is a symbolic link"):
            WAYS[way](place, root)
    assert state(outside) == before
    # a file that is a link, or has a second name
    for plant in ("symlink_to", "hardlink_to"):
        path = root / plant
        getattr(path, plant)(outside / "x")
        try:
            WAYS[way](path, root)
        except PrunebenchError as error:
            assert "link" in str(error)  # noqa: PT017
        assert state(outside) == before
        (root / "cells.csv").write_text("a\n")


def test_the_lock_of_a_folder_is_no_link_and_no_pipe(root: Path, outside: Path) -> None:
    (outside / "mine").write_text(KEPT)
    (root / LOCK).symlink_to(outside / "mine")
    with pytest.raises(PrunebenchError, match="is a symbolic link"):
        Lock(root).require()
    (root / LOCK).unlink()
    (root / LOCK).hardlink_to(outside / "mine")
    with pytest.raises(PrunebenchError, match="is a link"):
        Lock(root).require()
    (root / LOCK).unlink()
    os.mkfifo(root / LOCK)
    with pytest.raises(PrunebenchError, match="no plain file"):
        Lock(root).require()
    (root / LOCK).unlink()
    Lock(root).require()
    assert (outside / "mine").read_text() == KEPT


def test_check_files_moves_no_pictures_of_the_user(root: Path, outside: Path) -> None:
    """What a manifest lists as damaged lies behind ``figures``; or ``damaged`` leads away."""
    (outside / "holiday.png").write_text(KEPT)
    layout = Layout(root)
    (root / "figures").mkdir()
    (root / "figures" / "holiday.png").write_text("a figure")
    outputs.manifest_of(layout, "figures").write([root / "figures" / "holiday.png"])
    remove_tree(root / "figures")
    (root / "figures").symlink_to(outside, target_is_directory=True)
    with pytest.raises(PrunebenchError, match="figures is a symbolic link"):
        outputs.damaged(layout, thorough=True)
    (root / "workflow").symlink_to(outside, target_is_directory=True)
    (root / "figures").unlink()
    (root / "figures").mkdir()
    (root / "figures" / "theirs.png").write_text("theirs")
    (root / "damaged").symlink_to(outside, target_is_directory=True)
    with pytest.raises(PrunebenchError, match="damaged is a symbolic link"):
        outputs.damaged(layout, thorough=True)
    assert state(outside) == {str(outside / "holiday.png"): KEPT}
    copy_workflow(root / "workflow")  # of a link, the link goes
    assert not (root / "workflow").is_symlink()
    assert state(outside) == {str(outside / "holiday.png"): KEPT}


def test_a_list_of_removed_files_names_files_beside_it_alone(root: Path) -> None:
    from prunebench.storage.hashing import digest

    folder = root / CELL
    for name in ("../../x", "/etc/x", "..", 3):
        told = {"record": digest({"a": 1}), "removed": [name], "measured": {}}
        write_sealed(folder / REMOVED, told)
        assert removal(folder, {"a": 1}) == {"removed": [], "measured": {}}


def test_what_links_lead_to_is_not_sent_with_the_results(root: Path, outside: Path) -> None:
    (outside / "secret.png").write_text(KEPT)
    (root / "figures").mkdir()
    (root / "figures" / "a.png").write_text("a figure")
    (root / "figures" / "b.png").symlink_to(outside / "secret.png")
    (root / "tables").symlink_to(outside, target_is_directory=True)
    assert Layout(root).derived() == [root / "cells.csv", root / "figures" / "a.png"]


def test_what_climbs_out_of_the_folder_is_refused(root: Path, outside: Path) -> None:
    (outside / "mine").write_text(KEPT)
    with pytest.raises(PrunebenchError, match="lead out of"):
        remove_file(root / "cells" / ".." / ".." / ".." / "home" / "mine")
    assert (outside / "mine").read_text() == KEPT


def test_links_on_the_way_to_the_folder_are_the_users_own(
    root: Path, outside: Path, tmp_path: Path
) -> None:
    root.rename(outside / "x")
    link = tmp_path / "results" / "x"
    link.symlink_to(outside / "x", target_is_directory=True)
    Lock(link).release()
    with replacing(link / "tables" / "a.csv") as temporary:
        temporary.write_text("ours")
    assert (outside / "x" / "tables" / "a.csv").read_text() == "ours"
    elsewhere = tmp_path / "docs"
    elsewhere.symlink_to(outside, target_is_directory=True)
    write_text(elsewhere / "a.md", "no experiment's folder")
    links.refuse_below(link)
