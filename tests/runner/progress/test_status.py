"""``status``: records, locks and logs in, a true account of a grid out."""

from __future__ import annotations

import json

import pytest

from prunebench.experiment.plan import Plan
from prunebench.runner.progress import counts, state
from prunebench.runner.progress.running_jobs import holding
from prunebench.runner.progress.time_left import efforts
from prunebench.storage.files import write_sealed, write_text
from prunebench.storage.layout import RECORD

from .tiny_grid import cell, store


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
    row |= {"method": "dense", "sparsity": 0.0}
    rows = [{**row, "train_error": 0.25}, {**row, "seed": 1, "train_error": 0.01},
            {**row, "seed": 2, "train_error": 0.5, "memorized": None}]  # fmt: skip
    # without wrong labels all can be learned unless they are augmented
    rows += [{**rows[2], "seed": seed, "augmentation": seed == 3} for seed in (3, 4)]
    write_sealed(path, {"cells": rows})
    assert state(plan).under_trained == [
        "digits few seed-cnn seed 0: training error 25.0%",
        "digits few seed-cnn seed 4: training error 50.0%",
    ]


def test_for_programs_it_is_json(plan: Plan) -> None:
    store(cell(plan, "clean", "dense", 0.0), 10, 5.0)
    with holding(plan.layout, "curves", "magnitude@digits-0"):
        said = json.loads(json.dumps(state(plan).as_json()))
    assert (said["total"], said["done"], said["running"]) == (12, 1, 1)
    assert said["jobs"][0]["cell"] == "digits clean seed-cnn seed 0 magnitude 50 %"
    assert said["wall_seconds_left"] == said["seconds_left"] > 0


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
