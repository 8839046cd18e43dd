"""The error that a user sees: one line that says what, where, and what would be right."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

_LONGEST = 120  # signs of a value that a message shows
_MOST = 60  # names that a message lists
_LONG = 4000  # signs of a whole message
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _LONGEST


class PrunebenchError(ValueError):
    """What the user can put right. The command line prints its text and exits with status 2."""

    def __init__(self, message: str) -> None:
        # other people's messages, keys and names of files may hold line breaks
        text = " ".join(line.strip() for line in message.splitlines())
        super().__init__(printable(text if len(text) <= _LONG else f"{text[:_LONG]}…"))


class Refused(PrunebenchError):
    """A method cannot do what was asked of it on this model (and says why)."""


class Passing(PrunebenchError):
    """Nothing that a method did: once the cause is mended, the same command completes."""


class Unwritable(Passing):
    """A file cannot be written: the disk is full, or the folder is not to be written."""


class Damaged(Passing):
    """A file that was computed is missing or is not what was written; it can be computed anew."""


def printable(text: str) -> str:
    """Return a text with what cannot be seen written out: it could command a terminal.

    ``\\x1b`` for an escape, ``\\u202e`` for what turns the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(s if s.isprintable() else s.encode("unicode_escape").decode() for s in text)


def is_text(value: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON's ``"\\ud800"`` is half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """Return a value as a message shows it: one line, cut where it is long."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python shows no whole number of thousands of digits
        return "a very long number"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``known``, else what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"; known: {', '.join(names[:_MOST])}{more}" if names else ""


def text_of(error: BaseException) -> str:
    """Return the text of anybody's error as one line, cut where it is long."""
    text = printable(" ".join(_text_of_others(error).split()))
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def reason_of(error: BaseException) -> str:
    """Return the type of another library's error and the first line of its text."""
    lines = [line.strip() for line in _text_of_others(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"


def _text_of_others(error: BaseException) -> str:
    """Return the text of an error that others define, as far as anybody reads it."""
    try:
        return str(error)[: _LONG + 1]
    except Exception:  # whatever their own code raises
        return "its text cannot be shown"
