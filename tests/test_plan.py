"""The grid and its jobs: every cell once, named by what decides it and by nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import config
from prunebench.errors import PrunebenchError
from prunebench.files import write_text
from prunebench.identity import digest
from prunebench.jobs import expected_epochs
from prunebench.plan import Plan
from prunebench.progress import counts, duration

GRID: dict[str, Any] = {
    "experiment": "grid",
    "tasks": [{"name": "digits", "train": 200}],
    "regimes": ["clean", "noisy-40"],
    "models": ["seed-cnn", {"name": "test_resnet", "training": {"epochs": 7}}],
    "seeds": [0, 1],
    "methods": ["magnitude", "imp", "l1-filter"],
    "sparsities": [0.5, 0.9],
    "training": {"epochs": 4, "recovery_epochs": 2},
}


def plan(**changes: Any) -> Plan:
    return Plan(config.parse({**GRID, **changes}))


def baselines(plan: Plan) -> dict[tuple, str]:
    return {b.key: digest(plan.baseline_settings(b)) for b in plan.baselines}


def cells(plan: Plan) -> dict[tuple, str]:
    return {
        (*b.key, m.name, s): digest(plan.cell_settings(b, m, s))
        for b in plan.baselines
        for m in plan.experiment.methods
        for s in plan.sparsities(m)
    }


# ------------------------------------------------------------------------------- identity


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
        settings = {m.name: grid.cell_settings(grid.baselines[0], m, 0.5)
                    for m in grid.experiment.methods}  # fmt: skip
        return {name: value["method_code"] for name, value in settings.items()}

    first, again = of("a", "def f(view): return 1"), of("a", "def f(view): return 1")
    second = of("b", "def f(view): return 2")
    assert first == again
    assert first["imp"] == second["imp"]
    assert first["mine"] != second["mine"]


# ----------------------------------------------------------------------------------- jobs


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 3), st.integers(1, 3))
def test_jobs_cover_each_cell_once(per_baselines: int, per_curves: int, seeds: int, n: int) -> None:
    grid = plan(
        seeds=list(range(seeds)),
        tasks=[{"name": f"t{i}", "base": "digits"} for i in range(n)],
        compute={"baselines_per_job": per_baselines, "curves_per_job": per_curves},
    )
    for job in grid.baseline_jobs.values():
        assert 0 < len(job.baselines) <= per_baselines
        assert {b.task for b in job.baselines} == {job.task}
    trained = Counter(b.key for job in grid.baseline_jobs.values() for b in job.baselines)
    assert trained == Counter(b.key for b in grid.baselines)
    assert set(trained.values()) == {1}
    pruned = Counter(
        (*b.key, job.method.name) for job in grid.curve_jobs.values() for b in job.baselines
    )
    assert pruned == Counter((*b.key, m) for b in grid.baselines for m in GRID["methods"])
    for job in grid.curve_jobs.values():
        assert 0 < len(job.baselines) <= per_curves
        needed = [grid.baseline_jobs[name] for name in grid.baseline_jobs_of(job)]
        assert {b.key for b in job.baselines} <= {b.key for n in needed for b in n.baselines}


def test_no_names_make_two_jobs_one() -> None:
    grid = plan(
        tasks=[{"name": name, "base": "digits"} for name in ("c", "b.c", "c-0", "0")],
        methods=[{"name": name, "base": "imp"} for name in ("a", "a.b", "a.b.c")],
    )
    assert len(grid.curve_jobs) == 3 * 4 * 8
    assert len(grid.baseline_jobs) == 4 * 8


def test_a_job_that_there_is_not_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="no curves job 'imp@digit-0'; did you mean 'imp@"):
        plan().find("curves", "imp@digit-0")
    with pytest.raises(PrunebenchError, match="no kind of job 'curve'; did you mean 'curves'"):
        plan().find("curve", "imp@digits-0")
    with pytest.raises(PrunebenchError, match="no task 'digit'; did you mean 'digits'"):
        plan().task("digit")


# -------------------------------------------------------------------- on disk, in advance


def test_the_resolved_configuration_is_written_once(tmp_path: Path) -> None:
    grid = Plan(config.parse(GRID), tmp_path)
    path = grid.write()
    assert path == tmp_path / "grid" / "config.json"
    assert config.load(path) == grid.experiment
    stamp = path.stat().st_mtime_ns, path.stat().st_ino
    assert grid.write() == path
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == stamp
    for damage in ("", "{", '{"experiment": 1}'):
        path.write_text(damage)
        assert json.loads(grid.write().read_text())["experiment"] == "grid"


def test_results_that_cannot_be_written_are_a_message(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(PrunebenchError, match=r"cannot write .*config\.json"):
        Plan(config.parse(GRID), tmp_path / "results").write()


@pytest.mark.parametrize(
    ("device", "files", "gpus"),
    [
        ("auto", ["nvidia0", "nvidia1"], 1),
        ("auto", ["nvidia3", "nvidiactl"], 1),
        ("auto", ["nvidiactl", "nvidia-uvm"], 0),
        ("cpu", ["nvidia0"], 0),
        ("cuda", [], 1),
        ("cuda:1", [], 1),
    ],
)
def test_a_job_is_given_a_gpu_where_it_will_use_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, files: list[str], gpus: int
) -> None:
    monkeypatch.setattr("prunebench.plan.DEV", tmp_path)
    for name in files:
        (tmp_path / name).touch()
    assert plan(compute={"device": device}).gpus_per_job == gpus


def test_expected_work() -> None:
    grid = plan(methods=["magnitude", "imp", {"name": "long", "base": "magnitude", "recovery": {
        "name": "fine-tuning", "epochs": 9}}])  # fmt: skip
    training = grid.experiment.training
    work = {m.name: expected_epochs(m, training) for m in grid.experiment.methods}
    assert work == {"magnitude": 2, "imp": 4, "long": 9}


def test_progress_counts_the_cells_that_are_there(tmp_path: Path) -> None:
    grid = Plan(config.parse(GRID), tmp_path)
    assert counts(grid) == {"done": 0, "total": 56, "missing": 56}
    folder = grid.layout.baseline(*grid.baselines[0].key)
    write_text(folder / "record.json", "{}")
    assert counts(grid) == {"done": 1, "total": 56, "missing": 55}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (95, "1 min 35 s"), (7260, "2 h 01 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
