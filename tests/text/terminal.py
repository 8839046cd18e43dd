"""A terminal for what is written to standard error."""

from __future__ import annotations

import io
import sys

import pytest


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
