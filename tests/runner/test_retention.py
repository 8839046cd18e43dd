"""``compute.keep``: pruned cells without their files: the same rows, and nothing computed twice."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.evaluation.rows import STALE
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import curves, damaged_files, pipeline, retention
from prunebench.storage import cell_files
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.layout import MASKS, PREDICTIONS, PROBES, RECORD, REMOVED, WEIGHTS
from tests.conftest import ROOT
from tests.robustness.disturbed import GRID, assert_same, bits

SMALL = {**GRID, "seeds": [0], "sparsities": [0.5, 0.75]}
FILES = (MASKS, PREDICTIONS, WEIGHTS)
TIMES = ["train_seconds", "prune_seconds"]


def plan_in(folder: Path, keep: str, **changes: Any) -> Plan:
    grid = {**SMALL, **changes, "compute": {**GRID["compute"], "keep": keep}}
    return Plan(config.parse(grid), folder / "results")


def run(folder: Path, keep: str, **changes: Any) -> pd.DataFrame:
    return pd.read_csv(pipeline.run(plan_in(folder, keep, **changes), folder / "data"))


def there(folder: Path, *names: str) -> set[str]:
    """Methods and sparsities of the cells that have a file of these names."""
    cells = folder / "results/tiny/cells/digits/clean/seed-cnn/seed-0"
    return {str(p.parent.relative_to(cells)) for name in names for p in cells.rglob(name)}


def written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in plan_in(folder, "records").layout.records()}


@pytest.fixture(scope="module", autouse=True)
def _as_before() -> Iterator[None]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everything")
    run(folder, "everything")
    return folder


@pytest.fixture
def grid(everything: Path, tmp_path: Path) -> Path:
    """A finished grid of one's own that has everything."""
    shutil.copytree(everything, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    return tmp_path


@pytest.fixture
def freed(grid: Path) -> Path:
    """The same grid with its records only."""
    run(grid, "records")
    return grid


@pytest.mark.parametrize("keep", ["predictions", "records"])
def test_the_tables_are_the_same_and_the_files_gone(grid: Path, keep: str) -> None:
    tables = ("cells.csv", "layers.csv")
    before = [pd.read_csv(grid / "results/tiny" / name) for name in tables]
    first = written(grid)
    pruned = there(grid, RECORD) - {"dense/0"}
    assert len(pruned) == 4
    for _ in range(2):  # the second finds them freed
        run(grid, keep)
        for table, name in zip(before, tables, strict=True):
            pd.testing.assert_frame_equal(pd.read_csv(grid / "results/tiny" / name), table)
        assert written(grid) == first
        for name in FILES:
            gone = name in retention.REMOVED_BY[keep]
            assert (there(grid, name) - {"dense/0"}) == (set() if gone else pruned)
        assert there(grid, WEIGHTS, PREDICTIONS, "targets.safetensors") >= {"dense/0"}
        assert damaged_files.damaged(plan_in(grid, keep)) == {}


def test_nothing_is_removed_before_the_rows_are_written(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, value: Any) -> None:
        raise PrunebenchError("no room")

    monkeypatch.setattr(pipeline, "write_sealed", no_room)
    before = there(grid, *FILES)
    with pytest.raises(PrunebenchError, match="no room"):
        run(grid, "records")
    assert there(grid, *FILES) == before
    assert not there(grid, REMOVED)


def test_a_removal_that_was_cut_short_is_finished(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, calls, unlink = pd.read_csv(grid / "results/tiny/cells.csv"), 0, Path.unlink

    def dies(self: Path, missing_ok: bool = False) -> None:
        nonlocal calls
        if self.name in FILES:
            calls += 1
            if calls == 5:
                raise KeyboardInterrupt
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            run(grid, "records")
    assert there(grid, REMOVED) & there(grid, *FILES)
    pd.testing.assert_frame_equal(run(grid, "records"), table)
    assert there(grid, *FILES) == {"dense/0"}


@pytest.mark.parametrize("keep", ["records", "everything"])
def test_another_sparsity_computes_the_curve_anew_to_the_same_bits(freed: Path, keep: str) -> None:
    table = pd.read_csv(freed / "results/tiny/cells.csv")
    more = run(freed, keep, sparsities=[0.5, 0.75, 0.9])
    known = more[more["sparsity"] < 0.9].reset_index(drop=True)
    pd.testing.assert_frame_equal(known.drop(columns=TIMES), table.drop(columns=TIMES))
    assert (there(freed, *FILES) == {"dense/0"}) == (keep == "records")


@pytest.mark.parametrize("keep", ["predictions", "everything"])
def test_what_is_gone_stays_gone_and_valid_if_more_is_to_be_kept(freed: Path, keep: str) -> None:
    table, first = pd.read_csv(freed / "results/tiny/cells.csv"), written(freed)
    pd.testing.assert_frame_equal(run(freed, keep), table)
    assert written(freed) == first
    assert there(freed, *FILES) == {"dense/0"}


def test_without_the_notes_it_is_all_there_again(freed: Path, everything: Path) -> None:
    for path in freed.rglob(REMOVED):
        path.unlink()
    run(freed, "everything")
    assert_same(bits(freed / "results/tiny"), bits(everything / "results/tiny"))


def test_a_damaged_note_costs_its_cells_and_no_more(freed: Path) -> None:
    plan = plan_in(freed, "records")
    for kind, jobs in (("baselines", plan.baseline_jobs), ("curves", plan.curve_jobs)):
        for name in jobs:  # as Snakemake would
            write_sealed(plan.layout.root / "jobs" / kind / f"{name}.json", {"cells": []})
    folder = plan.layout.cell("digits", "clean", "seed-cnn", 0, "imp", 0.5)
    (folder / REMOVED).write_text("{")
    found = damaged_files.damaged(plan)
    assert {folder / name for name in FILES} == set(found)
    first = written(freed)
    run(freed, "records")
    again = written(freed)
    assert {path.parts[-3] for path in first if again[path] != first[path]} == {"imp"}


def test_a_probe_that_needs_what_is_gone_says_what_to_do(freed: Path) -> None:
    sharpness = {"run": ["sharpness"], "samples": 50}
    with pytest.raises(PrunebenchError, match="was removed once it was measured") as caught:
        run(freed, "records", probes=sharpness)
    command = str(caught.value).split("`")[1]
    subprocess.run(shlex.split(command), check=True)
    assert run(freed, "records", probes=sharpness)["sharpness"].notna().all()
    folder = freed / "results/tiny/cells/digits/clean/seed-cnn/seed-0"
    with pytest.raises(PrunebenchError, match="missing or damaged"):
        cell_files.load_tensors(folder / "dense/0" / MASKS)


def test_rows_that_earlier_code_measured_say_so(freed: Path) -> None:
    path = freed / "results/tiny/cells/digits/clean/seed-cnn/seed-0/imp/0.5" / REMOVED
    said = read_sealed(path)
    said["measured"]["code"] = "of earlier code"
    said["measured"]["values"]["renamed_since"] = 0.5
    write_sealed(path, said)
    messages = run(freed, "records").set_index(["method", "sparsity"])["message"].fillna("")
    assert messages[messages.str.contains(STALE, regex=False)].index.tolist() == [("imp", 0.5)]


def test_what_frees_is_not_what_measures() -> None:
    plan = Plan(config.load(ROOT / "config" / "smoke.yaml"))
    names = {path.name for path in plan.measure_sources()}
    assert "retention.py" not in names
    assert {"generalization.py", "rows.py", "long_tables.py"} <= names


def test_layers_of_another_first_seed_are_known_too(grid: Path) -> None:
    layers = grid / "results/tiny/layers.csv"
    run(grid, "everything", seeds=[1])
    table = pd.read_csv(layers)
    run(grid, "records", seeds=[0, 1])
    run(grid, "records", seeds=[1])
    pd.testing.assert_frame_equal(pd.read_csv(layers), table)


def test_what_an_earlier_grid_asked_for_is_measured_before_it_goes(grid: Path) -> None:
    tables = ("cells.csv", "layers.csv")
    before = [pd.read_csv(grid / "results/tiny" / name) for name in tables]
    first = written(grid)
    run(grid, "records", sparsities=[0.5])
    assert there(grid, *FILES) == {"dense/0"}
    run(grid, "records")
    assert written(grid) == first
    for table, name in zip(before, tables, strict=True):
        pd.testing.assert_frame_equal(pd.read_csv(grid / "results/tiny" / name), table)


def test_a_diverged_cell_of_an_earlier_grid_is_known_too(grid: Path) -> None:
    path = grid / "results/tiny/cells/digits/clean/seed-cnn/seed-0/imp/0.75" / RECORD
    write_sealed(path, {**read_sealed(path), "status": "diverged"})
    (path.parent / PROBES).unlink()  # it has no network to look at
    first = written(grid)
    run(grid, "records", sparsities=[0.5])
    assert there(grid, *FILES) == {"dense/0"}
    found = run(grid, "records").set_index(["method", "sparsity"])
    assert found.loc[("imp", 0.75), "status"] == "diverged"
    assert written(grid) == first


def test_a_round_that_nobody_looked_at_is_computed_when_it_is_asked_for(
    everything: Path, tmp_path: Path
) -> None:
    run(tmp_path, "records", sparsities=[0.75])
    assert "imp/0.5" in there(tmp_path, REMOVED)
    assert there(tmp_path, *FILES) == {"dense/0"}
    table = pd.read_csv(everything / "results/tiny/cells.csv")
    found = run(tmp_path, "records")
    pd.testing.assert_frame_equal(found.drop(columns=TIMES), table.drop(columns=TIMES))


def test_cells_of_other_settings_that_nobody_asks_for_are_left_alone(grid: Path) -> None:
    training = {**GRID["training"], "recovery_epochs": 2}
    run(grid, "records", sparsities=[0.5], training=training)
    assert there(grid, *FILES) == {"dense/0", "imp/0.75", "random/0.75"}


def test_a_damaged_record_that_nobody_asks_for_is_left_alone(grid: Path) -> None:
    path = grid / "results/tiny/cells/digits/clean/seed-cnn/seed-0/imp/0.75" / RECORD
    path.write_text("{")
    run(grid, "records", sparsities=[0.5])
    assert there(grid, *FILES) == {"dense/0", "imp/0.75"}


def test_a_curve_with_a_failed_cell_goes_on_from_the_others(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = grid / "results/tiny/cells/digits/clean/seed-cnn/seed-0/imp"
    shutil.rmtree(curve / "0.75")

    def refuses(*arguments: Any) -> None:
        raise PrunebenchError("this one cannot be")

    with monkeypatch.context() as patch:
        patch.setattr(curves, "_store_cell", refuses)
        assert run(grid, "records")["status"].tolist().count("failed") == 1
    assert there(grid, *FILES) == {"dense/0", "imp/0.5"}
    first = written(grid)
    assert set(run(grid, "records")["status"]) == {"ok"}
    assert {path.parent for path, when in written(grid).items() if when != first[path]} == {
        curve / "0.75"
    }
    assert there(grid, *FILES) == {"dense/0"}
