"""What a job says while it works: a line per cell, and a bar over the grid on a terminal."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from prunebench.experiment.plan import Plan
from prunebench.runner.progress import (
    JobsInTurn,
    Phases,
    Progress,
    begin,
    counts,
    grid_bar,
    reporter,
    state,
)
from prunebench.runner.progress.time_left import efforts, seconds_of_pages
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import PROBES, RECORD, STEPS
from tests.text.terminal import looked_at

from .tiny_grid import store

ALL = 12 + 2 + len(STEPS)  # cells, the jobs that follow, and what people read


def test_a_log_has_no_bar(capsys: pytest.CaptureFixture[str], plan: Plan) -> None:
    with grid_bar(plan):
        pass
    assert capsys.readouterr() == ("", "")


def test_the_bar_of_a_grid_counts_its_cells(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    terminal = looked_at(monkeypatch)
    for effort in list(efforts(plan))[:5]:
        write_sealed(effort.cell.folder / RECORD, {"status": "ok"})
    with grid_bar(plan):
        print("a line beside it", file=sys.stderr)
    assert f"5/{ALL}" in terminal.getvalue()
    assert "a line beside it" in terminal.getvalue()


def test_lines_say_what_is_done_and_what_is_left(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress(plan)
    first = next(iter(efforts(plan)))
    now[0] += 20  # twice as long as the training that it holds
    store(first, 10.0, 10.0)
    progress.cell(plan.cell(plan.baselines[0]), "ok")
    line = capsys.readouterr().err
    assert line.startswith(f"[1/{ALL}] digits clean seed-cnn seed 0 dense: ok (about ")
    # in epochs of 400 samples: 4 magnitude cells of 4 and imp's of 10, by regime, and two controls
    # of five trainings of 10
    left = (2 * 4 + 2 * 10 + 50) * 1.0 + (10 + 2 * 4 + 2 * 10 + 50) * 0.25
    assert progress.left() == pytest.approx(2 * left)


def finish(plan: Plan) -> None:
    """Put a record where each cell's would be."""
    for effort in efforts(plan):
        store(effort, 10.0, 10.0)


def touch(path: Path, at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    os.utime(path, (at, at))


def test_one_counter_goes_from_the_first_cell_to_the_last_page(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(plan, ["collect", "tables", "kit"])
    cells = len(list(efforts(plan)))
    jobs = [("probes", name) for name in plan.probe_jobs]
    jobs += [("measures", name) for name in plan.measure_jobs]
    total = cells + len(jobs) + 3
    finish(plan)
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    later, said = time.time(), []
    for number, (kind, name) in enumerate(jobs, start=1):
        for cell in plan.cells_of(kind, name) if kind == "probes" else ():
            touch(cell.folder / PROBES, later + number)
        if kind == "measures":
            touch(plan.layout.measured(name), later + number)
        now[0] += 30
        JobsInTurn(plan, kind).job(name)
        said.append(f"[{cells + number}/{total}] {kind}: {name}")
    for number, (step, name) in enumerate(
        {"collect": "collect", "tables": "tables", "kit": "paper"}.items(), start=1
    ):
        touch(plan.layout.steps()[step], later + 100 + number)
        Progress(plan).follows(name)
        left = f" (about {round(seconds_of_pages(cells) * (3 - number) / 3)} s left)"
        said.append(f"[{cells + len(jobs) + number}/{total}] {name}{left if number < 3 else ''}")
    assert capsys.readouterr().err.splitlines() == said
    assert said[-1].startswith(f"[{total}/{total}]")
    # older than the table of cells, pages are to be written again
    touch(plan.layout.steps()["collect"], later + 500)
    assert Progress(plan).done == total - 2
    # older than what was measured, the table is, too; no page that stands on it is done
    touch(plan.layout.measured(next(iter(plan.measure_jobs))), later + 600)
    assert Progress(plan).done == total - 3
    # what is made in any case is not done before it is
    os.utime(plan.layout.measured(next(iter(plan.measure_jobs))), (later - 500, later - 500))
    begin(plan, ["collect", "tables", "kit"], again=True)
    assert Progress(plan).done <= total - 3


def test_a_kind_of_jobs_is_announced_with_the_same_counter(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(plan)
    progress, count = Progress(plan), len(plan.jobs["probes"])
    JobsInTurn(plan, "probes").begin()
    said = f"[{progress.cells}/{progress.total}] next: probes, {count} job{'s' * (count > 1)}"
    assert capsys.readouterr().err.splitlines() == [said]


def test_jobs_say_how_long_the_rest_of_their_kind_takes(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(plan)
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(plan, "jobs", {"measures": dict.fromkeys("abc")})
    monkeypatch.setattr(reporter.Progress, "follows", lambda _, name, said: print(name + said))
    turn = JobsInTurn(plan, "measures")
    for name in "abc":
        now[0] += 30
        turn.job(name)
    assert capsys.readouterr().out.splitlines() == [
        "measures: a (about 1 min 00 s of measures left)",
        "measures: b (about 30 s of measures left)",
        "measures: c",
    ]


def test_records_of_other_settings_are_not_counted(plan: Plan) -> None:
    """After an edit every record is still there; none of those that the edit changes is done."""
    chosen = {("dense", 0.0), ("magnitude", 0.5), ("magnitude", 0.75), ("imp", 0.5)}
    for effort in efforts(plan):
        own = (effort.key.method, effort.key.sparsity) in chosen
        identity = effort.cell.identity("d") if own else "of other settings"
        store(effort, 10.0, 10.0, identity=identity, data_hash="d")
    begin(plan, ["collect"])
    regimes = len(plan.baselines)
    assert Progress(plan).done == regimes * len(chosen)
    assert counts(plan)["done"] == state(plan).done == regimes * len(chosen)
    # one of them is computed again
    again = next(e for e in efforts(plan) if e.key.method == "imp" and e.key.sparsity == 0.75)
    store(again, 10.0, 10.0)
    assert Progress(plan).done == regimes * len(chosen) + 1


def test_the_pages_have_a_time_that_grows_with_the_grid(capsys: pytest.CaptureFixture[str]) -> None:
    # measured on one core: 47 s for 430 records, 258 s for 6,060
    for cells, seconds in ((430, 47), (6060, 258)):
        assert seconds_of_pages(cells) == pytest.approx(seconds, rel=0.15)
    phases = Phases(2)
    phases.begin("the search")
    phases.begin("the page")
    said = capsys.readouterr().err.splitlines()
    assert said == ["phase 1 of 2: the search", "phase 2 of 2: the page"]
