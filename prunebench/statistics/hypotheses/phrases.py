"""Write the phrases of the sentences: numbers with intervals, methods grouped by decision."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER, UNRESOLVED
from prunebench.statistics.hypotheses.comparisons import Comparison
from prunebench.statistics.significance import p_text, unable
from prunebench.text import numbers

SHOWN_AT_MOST = 5  # names in a list; the rest is in the evidence


def number(item: Comparison, unit: str = " points", digits: int = 2) -> str:
    """Return ``+1.20 points [+0.50, +1.90]``; without an interval only the value."""
    found = item.found
    if math.isnan(found.value):
        return "not measured"
    ends = "(no interval)"
    if not math.isnan(found.low):
        ends = numbers.interval(found.low, found.high, digits)
    return f"{numbers.number(found.value, digits, sign=True)}{unit} {ends}"


def seeds(items: Sequence[Comparison]) -> str:
    """Return ``10 seeds``, or ``3 to 10 seeds``."""
    return numbers.seeds_text(item.found.seeds for item in items)


def of(count: int, total: int, noun: str = "method") -> str:
    """Return ``all 4 methods``, ``3 of 4 methods``, ``none of the 4 methods``."""
    if total == 1:
        return f"{count} of 1 {noun}"
    if count == total == 2:
        return f"both {noun}s"
    share = "all" if count == total else f"{count} of" if count else "none of the"
    return f"{share} {total} {noun}s"


def listed(parts: Sequence[str], more: str = "more") -> str:
    """Return the first of ``parts``, and how many more there are."""
    rest = len(parts) - SHOWN_AT_MOST
    shown = "; ".join(parts[:SHOWN_AT_MOST])
    return f"{shown}; and {rest} {more}" if rest > 0 else shown


def names(methods: Sequence[str]) -> str:
    """Return the first names with commas, and how many more there are."""
    rest = len(methods) - SHOWN_AT_MOST
    shown = ", ".join(methods[:SHOWN_AT_MOST])
    return f"{shown} and {rest} more" if rest > 0 else shown


def _never(item: Comparison, alpha: float) -> str:
    return unable(item.found.units, item.family, "comparisons", alpha, item.found.unit)


def why_open(items: Sequence[Comparison], alpha: float) -> str:
    """Return why nothing was decided: too few seeds for any p, or p-values above ``alpha``."""
    never = {_never(item, alpha) for item in items}
    if len(never) == 1 and (reason := never.pop()):
        return reason
    return "not resolved"


def by_decision(
    items: Sequence[Comparison],
    alpha: float,
    unit: str = " points",
    labels: Sequence[str] | None = None,
    values: Sequence[str] | None = None,
    undecided: str = "",
) -> str:
    """Return each item with its decision, those decided alike together, the largest value first.

    Args:
        items: Judged comparisons.
        alpha: The level.
        unit: Of the values, with the space before it.
        labels: Names of the items, in place of their methods.
        values: Their numbers, in place of ``number``.
        undecided: The reason for items without a decision, where it is not a matter of p.
    """
    called = labels or [item.method for item in items]
    shown = values or [number(item, unit) for item in items]
    texts = {
        id(item): f"{name} {text}" for item, name, text in zip(items, called, shown, strict=True)
    }
    said = []
    for decision in (HIGHER, LOWER, EQUIVALENT, UNRESOLVED):
        alike = [item for item in items if item.decision == decision]
        if not alike:
            continue
        alike.sort(key=lambda item: (-item.found.value, item.method, item.against))
        with_p = not (decision == UNRESOLVED and undecided)
        parts = [texts[id(item)] + (_p_words(item, alpha) if with_p else "") for item in alike]
        head = {
            HIGHER: "above 0", LOWER: "below 0",
            UNRESOLVED: undecided or why_open(alike, alpha),
            EQUIVALENT: f"equivalent to 0 (inside ±{alike[0].margin:g}{unit})",
        }[decision]  # fmt: skip
        said.append(f"{head}: {listed(parts)}")
    return ". ".join(f"{text[0].upper()}{text[1:]}" for text in said)


def _p_words(item: Comparison, alpha: float) -> str:
    """Return the p; nothing for equivalence and where no p could be small."""
    never = _never(item, alpha)
    if item.decision == EQUIVALENT or never or math.isnan(item.p):
        return ""
    return f" ({'Holm ' if item.family > 1 else ''}{p_text(item.p)})"
