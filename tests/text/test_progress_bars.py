"""Bars are for terminals: nothing of them reaches a log; the items pass through unchanged."""

from __future__ import annotations

import pytest

from prunebench.text import progress_bars

from .terminal import looked_at


def test_a_log_has_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bars.watched("abc", "letters")) == ["a", "b", "c"]
    with progress_bars.bar("waiting") as advance:
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
