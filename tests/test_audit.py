"""Every kind of file damaged in every way: noticed, named, computed anew to the same bits."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from prunebench import audit, config, pipeline
from prunebench.cli import app
from prunebench.cli import jobs as jobs_cli
from prunebench.files import write_text
from prunebench.inputs import prepared
from prunebench.lock import locked
from prunebench.made import making
from prunebench.plan import Plan
from tests.robustness.disturbed import GRID, assert_same, bits

PAGES = {
    "tables": ["tables/generalization.csv", "tables/scores.md"],
    "figures": ["figures/forest.pdf"],
    "report": ["report.html", "report.md"],
    "kit": ["paper/macros.tex", "paper/figures/forest.pdf"],
    "crate": ["ro-crate-metadata.json"],
}
CHANGES = {"seeds": [0], "methods": GRID["methods"][1:], "sparsities": [0.5]}


@pytest.fixture(scope="module")
def _grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("audit")
    deterministic = torch.are_deterministic_algorithms_enabled()
    plan = plan_in(folder)
    pipeline.run(plan, folder / "data")
    plan.write()
    config_json = plan.layout.config
    for command, kind in ((jobs_cli.baselines, "baselines"), (jobs_cli.curves, "curves"),
                          (jobs_cli.probes, "probes")):  # fmt: skip
        for cell in ("digits-0", "imp@digits-0"):  # as Snakemake would
            if (kind == "curves") == ("@" in cell):
                target = plan.layout.root / "jobs" / kind / f"{cell}.json"
                command(config_json, cell, folder / "data", target)
    for step, names in PAGES.items():
        with making(plan.layout, step) as made:
            for page in names:
                write_text(plan.layout.root / page, "a page\n")
                made.append(plan.layout.root / page)
    yield folder
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def grid(_grid: Path, tmp_path: Path) -> Path:
    """A finished grid of one's own, as the commands left it."""
    shutil.copytree(_grid, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    return tmp_path


def plan_in(folder: Path, **changes: Any) -> Plan:
    return Plan(config.parse({**GRID, **CHANGES, **changes}), folder / "results")


def prepared_in(folder: Path) -> list[Path]:
    return [prepared(task, folder / "data") for task in plan_in(folder).experiment.tasks]


def found(folder: Path, thorough: bool = False) -> list[str]:
    named = audit.damaged(plan_in(folder), folder / "data", thorough)
    return [str(path.relative_to(folder)) for path in named]


def jobs(folder: Path) -> set[str]:
    root = folder / "results" / "tiny" / "jobs"
    return {str(path.relative_to(root)) for path in root.rglob("*.json")}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def alter(path: Path) -> None:
    """One digit, else one bit: it stays what it is, but for its meaning."""
    content = bytearray(path.read_bytes())
    digits = [i for i, sign in enumerate(content) if chr(sign).isdigit()]
    content[digits[len(digits) // 2] if path.suffix == ".json" and digits else -1] ^= 1
    path.write_bytes(content)


DAMAGES: list[Callable[[Path], None]] = [truncate, empty, alter, Path.unlink]
CELL = "results/tiny/cells/digits/clean/seed-cnn/seed-0"
KINDS = {
    **{f"{CELL}/dense/0/{name}": "baselines/digits-0.json" for name in
       ("record.json", "weights.safetensors", "initial.safetensors", "targets.safetensors",
        "predictions.safetensors", "history.json")},
    **{f"{CELL}/imp/0.5/{name}": "curves/imp@digits-0.json" for name in
       ("record.json", "weights.safetensors", "masks.safetensors", "predictions.safetensors",
        "history.json")},
    f"{CELL}/imp/0.5/probes.json": "probes/digits-0.json",
}  # fmt: skip


def test_what_is_whole_is_left_alone(grid: Path) -> None:
    before = jobs(grid)
    assert found(grid) == found(grid, thorough=True) == []
    assert jobs(grid) == before


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_of_a_cell_takes_its_job_along(
    grid: Path, name: str, damage: Callable[[Path], None]
) -> None:
    before = jobs(grid)
    damage(grid / name)
    assert found(grid) == [name]
    assert before - jobs(grid) == {KINDS[name], "noted/collect.json", "measures/digits-0.json"}
    assert not plan_in(grid).layout.cells_csv.exists()


@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_damaged_measures_are_taken_away(grid: Path, damage: Callable[[Path], None]) -> None:
    name = "results/tiny/jobs/measures/digits-0.json"
    damage(grid / name)
    assert found(grid) == [name]
    assert not (grid / name).exists()


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        *((ending, damage) for ending in ("", ".json") for damage in DAMAGES),
        *((".note.json", damage) for damage in DAMAGES[:3]),
    ],
)
def test_damaged_data_are_prepared_anew(
    grid: Path, ending: str, damage: Callable[[Path], None]
) -> None:
    (data,) = prepared_in(grid)
    path, before = Path(f"{data}{ending}"), Path(f"{data}.json").read_text()
    damage(path)
    assert found(grid) == [str(path.relative_to(grid))]
    assert not data.exists()
    pipeline.prepare(plan_in(grid), "digits", grid / "data")
    assert found(grid) == []
    assert Path(f"{data}.json").read_text() == before


def test_prepared_data_that_nothing_is_noted_of_vouch_for_each_other(grid: Path) -> None:
    (data,) = prepared_in(grid)
    note = Path(f"{data}.note.json")
    note.unlink()
    assert found(grid) == []
    assert note.exists()
    note.unlink()
    truncate(data)
    assert found(grid) == [str(data.relative_to(grid))]
    assert not data.exists()


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
    named = audit.damaged(plan_in(grid), grid / "data")
    assert list(named) == [root / name]
    assert not (root / output).exists()
    gone = {path for path in there if not path.exists()}
    assert gone == {path for path in there if path.is_relative_to(root / output)}
    if held and "jobs" not in name:  # a damaged note says of nothing what it was
        assert (root / "damaged" / name).read_bytes() == held
        assert f"(what it held: {root / 'damaged' / name})" in audit.said(named)
    assert found(grid) == []


@pytest.mark.parametrize("name", ["cells.csv", "figures", "report.html"])
def test_an_output_that_is_gone_is_named(grid: Path, name: str) -> None:
    path = grid / "results" / "tiny" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert found(grid) == [f"results/tiny/{name}"]
    assert found(grid) == []


def test_what_was_killed_on_its_way_is_made_anew_without_a_word(grid: Path) -> None:
    layout = plan_in(grid).layout
    with pytest.raises(KeyboardInterrupt), making(layout, "report"):
        raise KeyboardInterrupt
    assert layout.report("html").exists()
    assert found(grid) == []
    assert not layout.report("html").exists()


def test_what_a_grid_is_asked_for_anew_is_no_damage(grid: Path) -> None:
    larger = {"seeds": [0, 1], "sparsities": [0.5, 0.75], "methods": GRID["methods"]}
    before = jobs(grid)
    assert audit.damaged(plan_in(grid, **larger), grid / "data") == {}
    assert jobs(grid) == before
    assert plan_in(grid).layout.cells_csv.exists()


def test_cells_that_another_command_put_there_are_computed_anew_without_a_word(grid: Path) -> None:
    before = jobs(grid)
    cells = "cells/digits/clean/seed-cnn/seed-0/imp/0.5"
    original = bits(grid / "results" / "tiny")[f"{cells}/record.json"]["identity"]
    other = {"training": {**GRID["training"], "epochs": 7}}
    pipeline.run(plan_in(grid, **other), grid / "data")  # touches no file of a job
    assert before - jobs(grid) == {"noted/crate.json"}
    assert found(grid) == []
    # "probes" waits for both: Snakemake sees that they are new
    gone = {"baselines/digits-0.json", "curves/imp@digits-0.json", "measures/digits-0.json"}
    assert before - jobs(grid) == {*gone, "noted/collect.json", "noted/crate.json"}
    assert not plan_in(grid).layout.cells_csv.exists()
    pipeline.run(plan_in(grid), grid / "data")
    assert bits(grid / "results" / "tiny")[f"{cells}/record.json"]["identity"] == original


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


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_an_unfinished_job_is_named(
    grid: Path, damage: Callable[[Path], None]
) -> None:
    (grid / "results/tiny/jobs/curves/imp@digits-0.json").unlink()
    assert found(grid) == []
    name = f"{CELL}/imp/0.5/masks.safetensors"
    damage(grid / name)
    assert found(grid) == [name]


def test_all_of_it_damaged_comes_back_to_the_bit(
    grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bits(grid / "results" / "tiny")
    table = pd.read_csv(grid / "results" / "tiny" / "cells.csv")
    # a damaged record hides what else is damaged
    names = [name for name in KINDS if not name.endswith("record.json")]
    for number, name in enumerate(names):
        DAMAGES[number % len(DAMAGES)](grid / name)
    for path in prepared_in(grid):
        truncate(path)
    pipeline.run(plan_in(grid), grid / "data")
    said = capsys.readouterr().err
    for name in [*names, *(str(path.relative_to(grid)) for path in prepared_in(grid))]:
        assert f"damaged: {grid / name} is missing or not as it was written" in said
    assert_same(bits(grid / "results" / "tiny"), before)
    again = pd.read_csv(grid / "results" / "tiny" / "cells.csv")
    times = ["train_seconds", "prune_seconds"]
    pd.testing.assert_frame_equal(again.drop(columns=times), table.drop(columns=times))
