"""Bars are for terminals: nothing of them reaches a log; the items pass through unchanged."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner.progress import Progress, grid_bar
from prunebench.runner.progress.time_left import efforts
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import RECORD
from prunebench.text import progress_bars
from tests.runner.progress.test_state import GRID


class Terminal(io.StringIO):
    """A standard error that says that somebody looks at it."""

    def isatty(self) -> bool:
        return True


def looked_at(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error from now on; in a fixture pytest would put its own in place again."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return made


def test_a_log_has_no_bars(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert list(progress_bars.watched("abc", "letters")) == ["a", "b", "c"]
    with progress_bars.bar("waiting") as advance, grid_bar(Plan(config.parse(GRID), tmp_path)):
        advance()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    assert list(progress_bars.watched("abc", "letters")) == ["a", "b", "c"]
    shown = terminal.getvalue()
    assert "letters" in shown
    assert "3/3" in shown
    assert "\x1b[3" in shown  # a colour


def test_without_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    list(progress_bars.watched("abc", "letters"))
    assert "3/3" in terminal.getvalue()
    assert "\x1b[3" not in terminal.getvalue()


def test_an_error_ends_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = looked_at(monkeypatch)
    with pytest.raises(ValueError, match="no"), progress_bars.bar("waiting"):
        raise ValueError("no")
    assert terminal.getvalue().endswith(("\x1b[?25h", "\x1b[2K", "\r\x1b[1A\x1b[2K"))


def test_the_bar_of_a_grid_counts_its_cells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal = looked_at(monkeypatch)
    plan = Plan(config.parse(GRID), tmp_path)
    for effort in list(efforts(plan))[:5]:
        write_sealed(effort.cell.folder / RECORD, {"status": "ok"})
    with grid_bar(plan):
        print("a line beside it", file=sys.stderr)
    assert "5/12" in terminal.getvalue()
    assert "a line beside it" in terminal.getvalue()


def test_lines_say_what_is_done_and_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(config.parse(GRID), tmp_path)
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress(plan)
    first = next(iter(efforts(plan)))
    now[0] += 20  # twice as long as the training that it holds
    record = {"status": "ok", "train_epochs": 10.0, "train_seconds": 10.0}
    write_sealed(first.cell.folder / RECORD, record)
    progress.cell(plan.cell(plan.baselines[0]), "ok")
    line = capsys.readouterr().err
    assert line.startswith("[1/12] digits clean seed-cnn seed 0 dense: ok (about ")
    # in epochs of 400 samples: 4 magnitude cells of 4 and imp's of 10, by regime, and two controls
    left = (2 * 4 + 2 * 10 + 10) * 1.0 + (10 + 2 * 4 + 2 * 10 + 10) * 0.25
    assert progress.left() == pytest.approx(2 * left)
