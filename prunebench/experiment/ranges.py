"""What a part's parameters may be, as its trait ``ranges`` says it; checked without running it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from prunebench.errors import PrunebenchError, shown

Range = str | tuple[str, ...]
# "[0, 1)": a bound is a number, inf, or another parameter's name
_INTERVAL = re.compile(r"([\[(])\s*([-+.\w]+)\s*,\s*([-+.\w]+)\s*([\])])")


def check_ranges(ranges: Any, known: Mapping[str, Any], where: str) -> None:
    """Refuse a trait ``ranges`` that is not ``{parameter: "[0, 1)"}`` or ``{parameter: words}``.

    Raises PrunebenchError where a name is none of the ``known`` parameters', or text no interval.
    """
    if not isinstance(ranges, dict):
        raise PrunebenchError(f"{where}: must be a mapping, e.g. {{'rate': '(0, 1)'}}")
    for name, allowed in ranges.items():
        if name not in known:
            raise PrunebenchError(f"{where}: there is no parameter {name!r}")
        words = isinstance(allowed, tuple) and all(isinstance(word, str) for word in allowed)
        if words or (isinstance(allowed, str) and _bounds(allowed, dict.fromkeys(known))):
            continue
        raise PrunebenchError(
            f"{where}: {name} must be an interval such as '[0, 1)', or words, found"
            f" {shown(allowed)}"
        )


def out_of_range(name: str, value: Any, allowed: Range, values: Mapping[str, Any]) -> str | None:
    """What is wrong with a parameter's value, if anything is; ``values`` are all parameters'.

    Of a list every item counts; None, which stands for a default found later, always fits.
    """
    if value is None:
        return None
    if isinstance(allowed, tuple):
        if value in allowed:
            return None
        return f"{name} must be {' or '.join(map(repr, allowed))}, found {shown(value)}"
    found = _bounds(allowed, values)
    assert found is not None  # checked when the part was read
    opening, low, high, closing = found
    for item in value if isinstance(value, list) else [value]:
        try:
            number = float(item)  # YAML reads 1e-3 as a text
        except (TypeError, ValueError, OverflowError):
            number = math.nan  # lies in no interval
        above = number > low if opening == "(" else number >= low
        below = number < high if closing == ")" else number <= high
        if not (above and below):
            return f"{name} must lie in {_said(allowed, values)}, found {shown(item)}"
    return None


def _said(allowed: str, values: Mapping[str, Any]) -> str:
    """The interval, with the values of the parameters that it names."""
    names = [name for name in re.findall(r"[A-Za-z_]\w*", allowed) if name in values]
    return allowed + "".join(f" ({name} is {shown(values[name])})" for name in names)


def _bounds(text: str, values: Mapping[str, Any]) -> tuple[str, float, float, str] | None:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        return None
    opening, low, high, closing = match.groups()
    try:
        return opening, _bound(low, values), _bound(high, values), closing
    except ValueError:
        return None


def _bound(text: str, values: Mapping[str, Any]) -> float:
    value = values.get(text, text)
    return math.inf if value is None else float(value)
