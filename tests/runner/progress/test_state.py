"""``status``: records, locks and logs in, a true account of a grid out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner.progress import at_work, counts, running, state
from prunebench.runner.progress.running_jobs import holding
from prunebench.runner.progress.time_left import Effort, Rates, efforts, samples_of
from prunebench.storage.files import write_sealed, write_text
from prunebench.storage.layout import RECORD, Layout

GRID: dict[str, Any] = {
    "experiment": "grid",
    "tasks": [{"name": "digits", "train": 400}],
    "regimes": ["clean", {"name": "few", "train_samples": 100}],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["magnitude", {"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}},
                "dense-decayed"],
    "sparsities": [0.5, 0.75],
    "training": {"epochs": 10, "recovery_epochs": 4},
}  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    made = Plan(config.parse(GRID), tmp_path)
    made.write()
    return made


def cell(plan: Plan, regime: str, method: str, sparsity: float) -> Effort:
    wanted = ("digits", regime, "seed-cnn", 0, method, sparsity)
    [found] = [effort for effort in efforts(plan) if effort.key == wanted]
    return found


def store(effort: Effort, epochs: float, seconds: float, **more: Any) -> None:
    record = {"status": "ok", "message": "", "train_epochs": epochs, "train_seconds": seconds}
    write_sealed(effort.cell.folder / RECORD, {**record, **more})


# ------------------------------------------------------------------------------- counts


def test_every_cell_is_done_failed_or_missing(plan: Plan) -> None:
    found = state(plan)
    # two baselines; on each two methods at two sparsities, and one dense control
    assert (found.total, found.done, found.failed, found.missing) == (12, 0, 0, 12)
    assert found.total == plan.cell_count
    store(cell(plan, "clean", "dense", 0.0), 10, 5.0)
    store(cell(plan, "clean", "magnitude", 0.5), 14, 7.0, status="collapsed")
    why = {"status": "failed", "message": "no gradient"}
    for sparsity in (0.5, 0.75):
        store(cell(plan, "clean", "imp", sparsity), 0, 0, **why)
    cell(plan, "few", "dense", 0.0).cell.folder.mkdir(parents=True)
    write_text(cell(plan, "few", "dense", 0.0).cell.folder / RECORD, "{ damaged")
    found = state(plan)
    assert (found.total, found.done, found.failed, found.missing) == (12, 2, 2, 8)
    assert found.statuses == {"ok": 1, "collapsed": 1, "failed": 2}
    [failure] = found.failures
    assert (failure.cells, failure.message, failure.log) == (2, "no gradient", "")
    text = str(found)
    assert "2 of 12 cells done (1 ok, 1 collapsed), 2 failed, 8 missing" in text
    assert "digits clean seed-cnn seed 0 imp (2 cells): no gradient" in text
    assert counts(plan) == {"done": 5, "total": 12, "missing": 7}  # a file is there


def test_the_log_of_what_failed_is_named(plan: Plan) -> None:
    failed = cell(plan, "clean", "imp", 0.5)
    store(failed, 0, 0, status="failed", message="no")
    log = plan.layout.root / "logs" / f"{failed.job}.log"
    write_text(log, "[1/12] …\n")
    assert [failure.log for failure in state(plan).failures] == [str(log)]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("x\nerror: the baseline learned nothing\n\n", "error: the baseline learned nothing"),
        ("Traceback …\n  File\nValueError: 3\n", "ValueError: 3"),
        ("[3/12] digits clean: ok\n", None),
        ("", None),
    ],
)
def test_a_job_that_ended_with_an_error(plan: Plan, said: str, shown: str | None) -> None:
    log = plan.layout.root / "logs" / "baselines" / "digits-0.log"
    write_text(log, said)
    failures = state(plan).failures
    assert [failure.message for failure in failures] == ([shown] if shown else [])
    with holding(plan.layout, "baselines", "digits-0"):  # it is tried again
        assert state(plan).failures == []


def test_baselines_that_did_not_memorize(plan: Plan) -> None:
    row = {"task": "digits", "regime": "few", "model": "seed-cnn", "seed": 0, "memorized": 0.4}
    path = plan.layout.measured("digits-0")
    row["method"] = "dense"
    rows = [{**row, "train_error": 0.25}, {**row, "seed": 1, "train_error": 0.01},
            {**row, "seed": 2, "train_error": 0.5, "memorized": None}]  # fmt: skip
    write_sealed(path, {"cells": rows})
    assert state(plan).under_trained == ["digits few seed-cnn seed 0: training error 25.0%"]


def test_for_programs_it_is_json(plan: Plan) -> None:
    store(cell(plan, "clean", "dense", 0.0), 10, 5.0)
    with holding(plan.layout, "curves", "magnitude@digits-0"):
        said = json.loads(json.dumps(state(plan).as_json()))
    assert (said["total"], said["done"], said["running"]) == (12, 1, 1)
    assert said["jobs"][0]["cell"] == "digits clean seed-cnn seed 0 magnitude 50 %"
    assert said["wall_seconds_left"] == said["seconds_left"] > 0


# ------------------------------------------------------------------------------ running


def test_a_job_is_running_as_long_as_it_holds_its_lock(plan: Plan) -> None:
    with holding(plan.layout, "curves", "magnitude@digits-0"):
        [found] = running(plan.layout)
        assert (found.kind, found.job, found.process) == (
            "curves", "magnitude@digits-0", os.getpid(),
        )  # fmt: skip
        assert found.alive
        assert abs(found.started - time.time()) < 60
        assert running(plan.layout)[0].alive  # looking does not take the lock away
        with holding(plan.layout, "curves", "magnitude@digits-0"):
            pass  # another that computes the same waits for nobody
    assert running(plan.layout) == []


def test_a_job_that_raises_is_not_running(plan: Plan) -> None:
    @at_work("curves")
    def fails(plan: Plan, name: str) -> None:
        [found] = running(plan.layout)
        assert found.job == name
        raise PrunebenchError("no")

    @at_work()
    def looks(plan: Plan, kind: str, name: str, *, more: int = 0) -> tuple[str, str, int]:
        [found] = running(plan.layout)
        return found.kind, found.job, more

    with pytest.raises(PrunebenchError, match="no"):
        fails(plan, "a@digits-0")
    assert running(plan.layout) == []
    assert looks(plan, "probes", "digits-0", more=3) == ("probes", "digits-0", 3)


def test_a_killed_job_is_told_from_a_running_one(plan: Plan) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom prunebench.storage.layout import Layout\n"
        "from prunebench.runner.progress.running_jobs import holding\n"
        f"with holding(Layout(Path({str(plan.layout.root)!r})), 'baselines', 'digits-0'):\n"
        "    print('held', flush=True)\n    time.sleep(600)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        [found] = running(plan.layout)
        assert (found.alive, found.process) == (True, child.pid)
        text = str(state(plan))
        assert "running:\n  baselines/digits-0 (process" in text
        assert "0 of 1 cells, at digits clean seed-cnn seed 0 dense" in text
    finally:
        child.kill()
        child.communicate()
    [found] = running(plan.layout)
    assert not found.alive
    assert "killed; the same command goes on:\n  baselines/digits-0" in str(state(plan))
    assert state(plan).at_once == 0


def test_a_marker_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    write_text(tmp_path / "jobs", "a file where the folder should be")
    with holding(Layout(tmp_path), "curves", "a"):
        assert running(Layout(tmp_path)) == []


def test_a_marker_that_is_damaged_is_nobody(plan: Plan) -> None:
    write_text(plan.layout.root / "jobs" / "running" / "curves" / "a.json", "{")
    assert running(plan.layout) == []


# ---------------------------------------------------------------------------- time left


def test_samples_of_an_epoch(plan: Plan) -> None:
    sizes = {baseline.regime.name: samples_of(baseline) for baseline in plan.baselines}
    assert sizes == {"clean": 400, "few": 100}
    more = {**GRID, "regimes": [{"name": "half", "train_fraction": 0.5}]}
    assert samples_of(Plan(config.parse(more)).baselines[0]) == 200


def test_time_is_that_of_like_cells_by_their_samples(plan: Plan) -> None:
    rates, dense = Rates(), cell(plan, "clean", "dense", 0.0)
    assert rates.seconds(dense) is None
    rates.add(dense, {"status": "ok", "train_epochs": 10.0, "train_seconds": 8.0})
    # 4000 samples took 8 s; the other regime has 1000, a recovery 4 epochs of 400
    assert rates.seconds(cell(plan, "few", "dense", 0.0)) == pytest.approx(2.0)
    assert rates.seconds(cell(plan, "clean", "magnitude", 0.5)) == pytest.approx(3.2)


def test_what_a_record_stands_on_is_not_counted_twice(plan: Plan) -> None:
    """A record counts its baseline, an iterative one also the rounds before."""
    rates = Rates()
    for method, sparsity, epochs, seconds in (
        ("dense", 0.0, 10.0, 10.0), ("imp", 0.5, 20.0, 30.0), ("imp", 0.75, 30.0, 50.0),
        ("magnitude", 0.5, 14.0, 16.0), ("magnitude", 0.75, 14.0, 18.0),
        ("dense-decayed", 0.0, 50.0, 60.0),
    ):  # fmt: skip
        record = {"status": "ok", "train_epochs": epochs, "train_seconds": seconds}
        rates.add(cell(plan, "clean", method, sparsity), record)
    assert rates.seconds(cell(plan, "clean", "imp", 0.5)) == pytest.approx(20.0)
    assert rates.seconds(cell(plan, "clean", "magnitude", 0.5)) == pytest.approx(7.0)
    # five trainings where one is expected: learned from the first, to within its baseline
    assert rates.seconds(cell(plan, "clean", "dense-decayed", 0.0)) == pytest.approx(50.0)
    assert rates.seconds(cell(plan, "few", "dense-decayed", 0.0)) == pytest.approx(12.5)


def test_failed_and_silent_records_teach_nothing(plan: Plan) -> None:
    rates, dense = Rates(), cell(plan, "clean", "dense", 0.0)
    for record in (
        {"status": "failed", "train_epochs": 1.0, "train_seconds": 1.0}, {"status": "ok"},
        {"status": "ok", "train_epochs": 0.0, "train_seconds": 0.0},
    ):  # fmt: skip
        rates.add(dense, record)
    assert rates.seconds(dense) is None


def test_the_time_left_is_said(plan: Plan) -> None:
    assert "time left: not known before a cell is done" in str(state(plan))
    for effort in efforts(plan):
        store(effort, effort.epochs, 2.0 * effort.epochs)
    found = state(plan)
    assert found.seconds_left == 0
    assert "left" not in str(found)
    (cell(plan, "clean", "dense", 0.0).cell.folder / RECORD).unlink()
    # two regimes: what is left is reckoned from the other, four times smaller
    assert state(plan).seconds_left == pytest.approx(80.0)
    with holding(plan.layout, "baselines", "a"), holding(plan.layout, "curves", "b"):
        assert "about 1 min 20 s of training, 40 s with 2 jobs at once" in str(state(plan))
