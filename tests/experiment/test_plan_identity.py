"""Every cell is named by what decides it, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.settings import Task
from prunebench.storage.files import write_text
from prunebench.storage.hashing import digest
from tests.plans import GRID, baselines, cells, plan


def test_no_two_cells_share_an_identity_or_a_folder() -> None:
    grid = plan()
    assert len(set(cells(grid).values())) == len(cells(grid)) == 8 * 3 * 2
    assert len(set(baselines(grid).values())) == 8
    assert len({grid.layout.cell(*cell) for cell in cells(grid)}) == len(cells(grid))
    assert grid.cell_count == len(cells(grid)) + len(baselines(grid))


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [0, 1, 2]},
        {"sparsities": [0.5, 0.7, 0.9]},
        {"methods": ["random", *GRID["methods"]]},
        {"models": [*GRID["models"], "resnet20"]},
        {"regimes": [*GRID["regimes"], "few-10"]},
        {"tasks": [*GRID["tasks"], {"name": "other", "base": "digits"}]},
        {"experiment": "other"},
        {"compute": {"baselines_per_job": 5, "curves_per_job": 3}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_added_leaves_all_others_as_they_were(changes: dict[str, Any]) -> None:
    before, after = plan(), plan(**changes)
    assert cells(before).items() <= cells(after).items()
    assert baselines(before).items() <= baselines(after).items()


def _training(**values: Any) -> dict[str, Any]:
    return {"training": {**GRID["training"], **values}}


def _same(before: dict, after: dict) -> set:
    return {key for key in before if before[key] == after.get(key)}


@pytest.mark.parametrize(
    "changes",
    [
        _training(learning_rate=0.3),
        _training(momentum=0.5),
        {"compute": {"threads": 2}},
        {"tasks": [{"name": "digits", "train": 201}]},
    ],
)
def test_what_decides_all_changes_all(changes: dict[str, Any]) -> None:
    assert not _same(cells(plan()), cells(plan(**changes)))
    assert not _same(baselines(plan()), baselines(plan(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        _training(recovery_epochs=3),
        {"prunable": {"head": True}},
        {"methods": [{"name": name, "base": name, "allocation": "uniform", "pattern": "weight",
                      "criterion": "taylor"} for name in GRID["methods"]]},
    ],
)  # fmt: skip
def test_what_a_baseline_does_not_know_leaves_it_as_it_was(changes: dict[str, Any]) -> None:
    assert baselines(plan()) == baselines(plan(**changes))
    assert not _same(cells(plan()), cells(plan(**changes)))


@pytest.mark.parametrize(
    ("changes", "is_changed"),
    [
        (_training(epochs=5), lambda cell: cell[2] == "seed-cnn"),  # the other has its own
        ({"methods": [{"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}},
                      "magnitude", "l1-filter"]}, lambda cell: cell[4] == "imp"),
        ({"regimes": ["clean", {"name": "noisy-40", "label_noise": 0.3}]},
         lambda cell: cell[1] == "noisy-40"),
        ({"models": [GRID["models"][1], {"name": "seed-cnn", "stem": "small"}]},
         lambda cell: cell[2] == "seed-cnn"),
    ],
)  # fmt: skip
def test_what_decides_some_changes_these(
    changes: dict[str, Any], is_changed: Callable[[tuple], bool]
) -> None:
    before, after = cells(plan()), cells(plan(**changes))
    assert set(before) == set(after)
    assert set(before) - _same(before, after) == {cell for cell in before if is_changed(cell)}


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": [{"name": name, "description": "other words", "paper": "x", "family": "hybrid"}
                     for name in GRID["methods"]]},
        {"tasks": [{"name": "digits", "train": 200, "path": "."}]},  # its content counts
        {"tasks": [{"name": "digits", "train": 200, "augmentation": {"flip": True}}]},  # not used
        {"training": {**GRID["training"], "learning_rate": "1e-1"}},
    ],
)  # fmt: skip
def test_what_decides_nothing_changes_nothing(changes: dict[str, Any]) -> None:
    assert cells(plan(**changes)) == cells(plan())
    assert baselines(plan(**changes)) == baselines(plan())


@pytest.mark.parametrize(
    "arguments",
    [
        lambda file: {"checkpoint_path": file},
        lambda file: {"pretrained_cfg_overlay": {"file": file}},
        lambda file: {"blocks": [{"weights": file}]},
    ],
    ids=["checkpoint", "overlay", "nested"],
)
def test_a_file_of_weights_counts_by_its_content(
    arguments: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    one, moved = tmp_path / "one.pth", tmp_path / "two.pth"

    def found(file: Path) -> tuple[dict, dict]:
        mine = {"name": "mine", "architecture": "test_resnet", "arguments": arguments(str(file))}
        grid = plan(models=["seed-cnn", mine])
        jobs = {job.baselines[0].key: grid.job_digest(job) for job in grid.baseline_jobs.values()}
        return cells(grid), jobs

    one.write_bytes(b"weights")
    before, jobs = found(one)
    moved.write_bytes(b"weights")
    assert found(moved) == (before, jobs)
    one.write_bytes(b"others!")
    after, jobs_after = found(one)
    assert {cell for cell in before if before[cell] != after[cell]} == {
        cell for cell in before if cell[2] == "mine"
    }
    assert {key for key in jobs if jobs[key] != jobs_after[key]} == {
        key for key in jobs if key[2] == "mine"
    }


def test_a_file_that_a_part_reads_counts_by_its_content(tmp_path: Path) -> None:
    source, scores = tmp_path / "mine.py", tmp_path / "scores.pt"
    write_text(source, "def f(view, *, scores: str): return scores")
    mine = {"name": "mine", "criterion": {"name": f"{source}:f", "scores": str(scores)}}

    def found(text: str) -> dict[tuple, str]:
        scores.write_text(text)
        return cells(plan(methods=["imp", mine]))

    before, after = found("1"), found("22")
    assert {cell[4] for cell in _same(before, after)} == {"imp"}
    assert {cell[4] for cell in set(before) - _same(before, after)} == {"mine"}


def test_without_files_the_settings_stand_as_they_are_written() -> None:
    grid = plan()
    for baseline in grid.baselines:
        for method in grid.experiment.methods:
            settings = grid.cell(baseline, method, 0.5).settings()
            assert settings["baseline"] == baseline.settings()
            assert settings["method"] == method.settings()
            assert settings["prunable"] == {"head": False, "exclude": []}


def test_weights_that_are_fetched_count_where_there_are_any() -> None:
    grid = plan()
    cell = grid.cell(grid.baselines[0])
    assert cell.identity("data") == digest({**cell.settings(), "data": "data"})
    assert len({cell.identity("data", weights) for weights in (None, "a", "b")}) == 3


def test_augmentation_counts_where_it_is_used() -> None:
    tasks = [{"name": "digits", "train": 200, "augmentation": {"flip": True}}]
    before = cells(plan(regimes=["clean", "augmented"]))
    after = cells(plan(regimes=["clean", "augmented"], tasks=tasks))
    assert {cell[1] for cell in _same(before, after)} == {"clean"}
    assert {cell[1] for cell in set(before) - _same(before, after)} == {"augmented"}


def test_a_job_is_run_again_where_its_cells_change() -> None:
    before, after = plan(), plan(methods=[*GRID["methods"][1:], "random"])
    for name, job in before.curve_jobs.items():
        if name in after.curve_jobs:
            assert before.job_digest(job) == after.job_digest(after.find("curves", name))
    sparser = plan(sparsities=[0.5, 0.9, 0.99])
    for name, job in before.curve_jobs.items():
        assert before.job_digest(job) != sparser.job_digest(sparser.find("curves", name))
    for name, job in before.baseline_jobs.items():
        assert before.job_digest(job) == sparser.job_digest(sparser.find("baselines", name))


def test_an_edit_of_a_method_changes_its_cells(tmp_path: Path) -> None:
    """In a file of another name each time: a process reads a source once."""

    def of(file: str, text: str) -> dict[tuple, str]:
        path = tmp_path / file / "same" / "mine.py"
        write_text(path, text)
        mine = {"name": "mine", "criterion": {"name": f"{path}:f"}}
        grid = plan(methods=["imp", mine])
        return {m.name: grid.cell(grid.baselines[0], m).code for m in grid.experiment.methods}

    first, again = of("a", "def f(view): return 1"), of("a", "def f(view): return 1")
    second = of("b", "def f(view): return 2")
    assert first == again
    assert first["imp"] == second["imp"]
    assert first["mine"] != second["mine"]


NET = "from torch import nn\nfrom parts import width\nclass Net(nn.Sequential): ...\n"


def test_an_edit_of_a_network_of_ones_own_changes_its_cells(tmp_path: Path) -> None:
    """Its helpers count, its comments do not; the cells of other networks stay."""

    def of(folder: str, net: str = NET, parts: str = "width = 3") -> dict[str, dict[str, Any]]:
        write_text(tmp_path / folder / "own" / "net.py", net)
        write_text(tmp_path / folder / "own" / "parts.py", parts)
        mine = {"name": "mine", "architecture": f"{tmp_path / folder / 'own' / 'net.py'}:Net"}
        grid = plan(models=["seed-cnn", mine])
        return {b.model.name: grid.cell(b).settings() for b in grid.baselines}

    first, again = of("a"), of("b", f"# a comment\n{NET}")
    edited, helped = of("c", NET.replace("...", "x = 1")), of("d", parts="width = 4")
    assert len({found["mine"]["model_code"] for found in (first, again)}) == 1
    assert len({found["mine"]["model_code"] for found in (first, edited, helped)}) == 3
    for found in (again, edited, helped):
        assert found["seed-cnn"] == first["seed-cnn"]
    assert first["seed-cnn"]["model_code"] != first["mine"]["model_code"]
    grid = plan(models=[{"name": "mine", "architecture": f"{tmp_path}/a/own/net.py:Net"}])
    [cell, *_] = grid.curve(grid.baselines[0], grid.experiment.methods[0])
    assert cell.settings()["model_code"] == first["mine"]["model_code"]


@pytest.mark.parametrize(
    ("text", "named", "says"),
    [
        (None, "Net", "No such file"),
        ("class Net(: ...", "Net", "not valid Python"),
        ("class Net: ...", "Ned", "has no class or function 'Ned'; did you mean 'Net'"),
        ("x = 1", "Net", "has no class or function 'Net'"),
    ],
)
def test_a_network_that_is_not_there_is_refused(
    tmp_path: Path, text: str | None, named: str, says: str
) -> None:
    if text is not None:
        (tmp_path / "net.py").write_text(text)
    with pytest.raises(PrunebenchError, match=says) as caught:
        plan(models=[{"name": "mine", "architecture": f"{tmp_path / 'net.py'}:{named}"}])
    assert "\n" not in str(caught.value)
    assert "models: mine" in str(caught.value)


def test_a_task_without_calibration_is_named_as_before_there_was_any() -> None:
    plain = Task(name="mine", source="digits")
    assert "calibration" not in plain.settings()
    held_out = plain.model_copy(update={"calibration": 64})
    assert held_out.settings() == {**plain.settings(), "calibration": 64}
    assert prepared(plain) != prepared(held_out)


def test_calibration_names_a_pruned_cell_where_it_is_set_and_nothing_else() -> None:
    """And unset it leaves no trace, so that results of before stay valid."""
    unset = plan()
    cell = unset.cell(unset.baselines[0], unset.experiment.methods[0], 0.5)
    assert "calibration" not in cell.settings()
    assert cells(plan(calibration={})) == cells(unset)
    found = [cells(plan(calibration=c)) for c in ({"samples": 64}, {"batch_size": 64})]
    assert not set(found[0].values()) & set(found[1].values())
    assert not set(found[0].values()) & set(cells(unset).values())
    assert baselines(plan(calibration={"samples": 64})) == baselines(unset)
