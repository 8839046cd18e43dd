"""What a job says while it works: a line per cell, and a bar over the grid on a terminal."""

from __future__ import annotations

import sys

import pytest

from prunebench.experiment.plan import Plan
from prunebench.runner.progress import Phases, Progress, StepProgress, grid_bar
from prunebench.runner.progress.time_left import efforts, seconds_of_pages
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import RECORD
from tests.text.terminal import looked_at

from .tiny_grid import store


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
    assert "5/12" in terminal.getvalue()
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
    assert line.startswith("[1/12] digits clean seed-cnn seed 0 dense: ok (about ")
    # in epochs of 400 samples: 4 magnitude cells of 4 and imp's of 10, by regime, and two controls
    # of five trainings of 10
    left = (2 * 4 + 2 * 10 + 50) * 1.0 + (10 + 2 * 4 + 2 * 10 + 50) * 0.25
    assert progress.left() == pytest.approx(2 * left)


def test_what_follows_training_is_counted_with_its_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    steps = StepProgress("probes", 3)
    for name in ("digits-0", "digits-1", "digits-2"):
        now[0] += 30
        steps.job(name)
    assert capsys.readouterr().err.splitlines() == [
        "[1/3] probes: digits-0 (about 1 min 00 s of probes left)",
        "[2/3] probes: digits-1 (about 30 s of probes left)",
        "[3/3] probes: digits-2",
    ]


def test_the_pages_have_a_time_that_grows_with_the_grid(capsys: pytest.CaptureFixture[str]) -> None:
    # measured on one core: 47 s for 430 records, 258 s for 6,060
    for cells, seconds in ((430, 47), (6060, 258)):
        assert seconds_of_pages(cells) == pytest.approx(seconds, rel=0.15)
    phases = Phases(2)
    phases.begin("the search")
    phases.begin("the page")
    said = capsys.readouterr().err.splitlines()
    assert said == ["phase 1 of 2: the search", "phase 2 of 2: the page"]
