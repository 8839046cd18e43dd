"""Write the verdicts on cells that were computed again, for people and for programs."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from prunebench.errors import printable
from prunebench.reproduce.verify.compare_records import (
    CONFIRMED,
    DIFFERENT,
    IDENTICAL,
    INSIDE,
    INTERVAL,
    NOT_RUN,
    UNDECIDED,
    Compared,
)
from prunebench.reproduce.verify.recompute import Outcome
from prunebench.text.numbers import plural

_SHORT = 12  # of a hash's 64 digits
_MANY = 6  # columns that a line names
VERDICTS = (IDENTICAL, INSIDE, DIFFERENT, UNDECIDED, NOT_RUN)


def as_text(outcome: Outcome) -> str:
    """Return a line for each cell, then what differs in the environment, then a summary."""
    lines = [_line(compared) for compared in outcome.cells]
    differing = environment(outcome)
    lines += [f"environment: {name}: {there}, here {here}" for name, there, here in differing]
    if not differing:
        lines.append("environment: no recorded value differs")
    if outcome.doubt:
        lines.append(f"provenance: {outcome.doubt}")
    # what others have recorded could command a terminal
    return "\n".join(map(printable, [*lines, summary(outcome)]))


def summary(outcome: Outcome) -> str:
    """Return a line with the number of cells of each verdict."""
    counts = Counter(compared.verdict for compared in outcome.cells)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    verdict = "confirmed" if outcome.confirmed else "NOT confirmed"
    count = len(outcome.cells)
    told = told or "nothing was computed again"
    if outcome.mismatch:
        told = f"{told}; provenance.json is of other files"
    return f"{verdict}: {outcome.drawn} drawn, with their baselines {plural(count, 'cell')}: {told}"


def environment(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Return what differs in the environment: its name, the values in the records, and here."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for compared in outcome.cells:
        for name, there, here in compared.environment:
            values = found.setdefault(name, ({}, {}))
            values[0][_short(there)] = values[1][_short(here)] = None
    told = [(name, ", ".join(there), ", ".join(here)) for name, (there, here) in found.items()]
    return [*told, *outcome.environment]


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the same for programs. Errors are fractions; what is missing is null."""
    return {
        "confirmed": outcome.confirmed,
        "drawn": outcome.drawn,
        "interval": INTERVAL,
        "cells": [
            {
                **compared.cell._asdict(),
                "verdict": compared.verdict,
                "reason": compared.reason,
                "differs": list(compared.differs),
                "test_error": {
                    "record": _finite(compared.test_error[0]),
                    "here": _finite(compared.test_error[1]),
                },
                "interval": list(compared.interval) if compared.interval else None,
            }
            for compared in outcome.cells
        ],
        "environment": [
            {"name": name, "record": there, "here": here}
            for name, there, here in environment(outcome)
        ],
        "doubt": outcome.doubt or None,
    }


def _line(compared: Compared) -> str:
    parts = [f"{compared.cell}: {compared.verdict}"]
    if compared.reason:
        parts.append(compared.reason)
    if compared.differs and compared.verdict in (*CONFIRMED, UNDECIDED):
        shown = ", ".join(compared.differs[:_MANY])
        more = len(compared.differs) - _MANY
        parts.append(f"differs in {shown}" + (f" and {more} more" if more > 0 else ""))
    return ": ".join(parts[:2]) + "".join(f"; {part}" for part in parts[2:])


def _short(value: str) -> str:
    """The first digits of a hash; "not recorded" for an empty value."""
    if len(value) in (40, 64) and set(value) <= set("0123456789abcdef"):
        return value[:_SHORT]
    return value or "not recorded"


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
