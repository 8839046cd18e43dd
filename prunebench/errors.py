"""The error that a user sees: one line that says what, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PrunebenchError(ValueError):
    """Something the user can mend. The command line prints its text and exits with status 2."""


class Refused(PrunebenchError):
    """A method cannot do what was asked of it on this model (and says why)."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``known``, else what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""
