"""What is made of the records, and the command that reads every file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench.cli import app
from prunebench.runner import damaged_files
from prunebench.storage.lock import locked
from prunebench.storage.outputs import recorded
from tests.runner.damaged_files.finished import CELL, DAMAGES, PAGES, alter, found, jobs, plan_in


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("cells.csv", "cells.csv"), ("layers.csv", "cells.csv"), ("provenance.json", "cells.csv"),
        ("tables/scores.md", "tables/generalization.csv"), ("figures/forest.pdf", "figures"),
        ("report.md", "report.html"), ("paper/macros.tex", "paper/macros.tex"),
        ("paper/figures/forest.pdf", "paper/macros.tex"),
        ("ro-crate-metadata.json", "ro-crate-metadata.json"),
        ("jobs/noted/report.json", "report.html"), ("jobs/noted/collect.json", "cells.csv"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_what_is_made_of_the_records_is_made_anew(
    grid: Path, name: str, output: str, damage: Callable[[Path], None]
) -> None:
    root = grid / "results" / "tiny"
    there = [root / each for each in ("cells.csv", *(names[0] for names in PAGES.values()))]
    damage(root / name)
    held = (root / name).read_bytes()
    named = damaged_files.damaged(plan_in(grid), grid / "data")
    assert list(named) == [root / name]
    assert not (root / output).exists()
    gone = {path for path in there if not path.exists()}
    assert gone == {path for path in there if path.is_relative_to(root / output)}
    if held and "jobs" not in name:  # a damaged note says of nothing what it was
        assert (root / "damaged" / name).read_bytes() == held
        assert f"(what it held: {root / 'damaged' / name})" in damaged_files.said(named)
    assert found(grid) == []


@pytest.mark.parametrize("name", ["cells.csv", "figures", "report.html"])
def test_an_output_that_is_gone_is_named(grid: Path, name: str) -> None:
    path = grid / "results" / "tiny" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert found(grid) == [f"results/tiny/{name}"]
    assert found(grid) == []


def test_what_was_killed_on_its_way_is_made_anew_without_a_word(grid: Path) -> None:
    layout = plan_in(grid).layout
    with pytest.raises(KeyboardInterrupt), recorded(layout, "report"):
        raise KeyboardInterrupt
    assert layout.report("html").exists()
    assert found(grid) == []
    assert not layout.report("html").exists()


def quietly(path: Path) -> None:
    """Alter a file as a failing disk does, which tells nobody."""
    times = path.stat()
    alter(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_disk_that_fails_quietly_is_found_by_a_thorough_look(grid: Path) -> None:
    names = [f"{CELL}/imp/0.5/masks.safetensors", "results/tiny/tables/scores.md"]
    for name in names:
        quietly(grid / name)
    assert found(grid) == []
    assert found(grid, thorough=True) == names


def test_the_command_that_reads_every_file(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(grid)
    command, says = ["check-files", "results/tiny"], "every file that was looked at is as it was"
    plan_in(grid).write()
    assert says in CliRunner().invoke(app, command).output
    path = grid / CELL / "imp/0.5/weights.safetensors"
    quietly(path)
    before = {p: p.stat().st_mtime_ns for p in grid.rglob("*") if p.is_file()}
    result = CliRunner().invoke(app, [*command, "--json"])
    assert (result.exit_code, json.loads(result.stdout)["damaged"]) == (1, [str(path)])
    assert {p: p.stat().st_mtime_ns for p in grid.rglob("*") if p.is_file()} == before
    command = [*command, "--repair"]
    with locked(grid / "results/tiny"):
        assert "at work on it" in str(CliRunner().invoke(app, command).exception)
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said == {"damaged": [str(path)], "not_noted": [], "without_data": []}
    assert "curves/imp@digits-0.json" not in jobs(grid)  # computed anew
    result = CliRunner().invoke(app, command)
    assert f"damaged: {path} is missing or not as it was written" in result.output
    shutil.rmtree(path.parent)
    assert CliRunner().invoke(app, command).exit_code == 0
