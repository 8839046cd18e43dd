"""The grid and its jobs: every cell once, on disk and in advance."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.jobs import expected_epochs
from prunebench.experiment.plan import Plan
from prunebench.runner.progress import counts, duration
from prunebench.storage.files import write_text
from tests.plans import GRID, plan

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
        assert all(b.task == job.task for b in job.baselines)
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
    monkeypatch.setattr("prunebench.experiment.plan.DEV", tmp_path)
    for name in files:
        (tmp_path / name).touch()
    assert plan(compute={"device": device}).gpus_per_job == gpus


def test_expected_work() -> None:
    grid = plan(methods=["magnitude", "imp", {"name": "long", "base": "magnitude", "recovery": {
        "name": "fine-tuning", "epochs": 9}}, "gradual", "dense-decayed"],
        recovery_lengths=[1, 3])  # fmt: skip
    training = grid.experiment.training
    work = {m.name: expected_epochs(m, training) for m in grid.experiment.methods}
    assert work == {
        "magnitude": 2, "magnitude-3x": 6, "imp": 4, "imp-3x": 12, "long": 9, "long-3x": 27,
        "gradual": 4, "dense-decayed": 20, "dense-decayed-3x": 60,
    }  # fmt: skip


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
