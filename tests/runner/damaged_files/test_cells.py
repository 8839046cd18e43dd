"""Every kind of file of cells and data damaged in every way: noticed, named, to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from prunebench.experiment import prepared_data
from prunebench.runner import damaged_files, pipeline
from tests.robustness.disturbed import GRID, assert_same, bits
from tests.runner.damaged_files.finished import (
    CELL,
    DAMAGES,
    KINDS,
    found,
    jobs,
    plan_in,
    prepared_in,
    truncate,
)


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
    assert data.exists() or path == data  # another experiment may train on it
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
    assert not prepared_data.usable(plan_in(grid).experiment.tasks[0], grid / "data")


def test_what_a_grid_is_asked_for_anew_is_no_damage(grid: Path) -> None:
    larger = {"seeds": [0, 1], "sparsities": [0.5, 0.75], "methods": GRID["methods"]}
    before = jobs(grid)
    assert damaged_files.damaged(plan_in(grid, **larger), grid / "data") == {}
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
