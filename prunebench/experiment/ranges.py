"""Ranges of a part's parameters, as its trait ``ranges`` declares them; checked without running it.

A range is an interval such as ``"[0, 1)"``, whose bounds are numbers, ``inf`` or other parameters'
names, or a tuple of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from prunebench.errors import PrunebenchError, shown, suggest

_INTERVAL = re.compile(r"([\[(])\s*([-+.\w]+)\s*,\s*([-+.\w]+)\s*([\])])")


def _range(value: Any) -> Any:
    words = isinstance(value, tuple) and all(isinstance(word, str) for word in value)
    if words or (isinstance(value, str) and _INTERVAL.fullmatch(value)):
        return value
    raise ValueError(f"must be an interval such as '[0, 1)', or words, found {shown(value)}")


Range = Annotated[str | tuple[str, ...], BeforeValidator(_range)]


def check_ranges(ranges: Mapping[str, Range], known: Collection[str], where: str) -> None:
    """Refuse ranges of parameters that are not there, and bounds that are none.

    Args:
        ranges: the trait, each of its ranges in the right form.
        known: the names of the part's parameters.
        where: what a refusal begins with.

    Raises:
        PrunebenchError: a name is no parameter's, or a bound is neither number nor parameter.
    """
    for name, allowed in ranges.items():
        if name not in known:
            raise PrunebenchError(f"{where}: there is no parameter {name!r}{suggest(name, known)}")
        for bound in _interval(allowed)[1:3] if isinstance(allowed, str) else ():
            if bound not in known and not _is_number(bound):
                raise PrunebenchError(
                    f"{where}: {name}: {bound!r} in {allowed!r} is neither a number nor a parameter"
                    f"{suggest(bound, known)}"
                )


def out_of_range(name: str, value: Any, allowed: Range, values: Mapping[str, Any]) -> str | None:
    """Return how a parameter's value is out of its range, None where it is not.

    Every item of a list counts. None, which stands for a default found later, always fits.

    Args:
        name: the parameter's name.
        value: its value.
        allowed: its range.
        values: the values of all parameters, for bounds that name one.
    """
    if value is None:
        return None
    if isinstance(allowed, tuple):
        if value in allowed:
            return None
        return f"{name} must be {' or '.join(map(repr, allowed))}, found {shown(value)}"
    opening, lower, upper, closing = _interval(allowed)
    low, high = _bound(lower, values), _bound(upper, values)
    for item in value if isinstance(value, list) else [value]:
        try:
            number = float(item)  # YAML reads 1e-3 as a text
        except (TypeError, ValueError, OverflowError):
            number = math.nan  # lies in no interval
        above = number > low if opening == "(" else number >= low
        below = number < high if closing == ")" else number <= high
        if not (above and below):
            named = [bound for bound in (lower, upper) if bound in values]
            said = "".join(f" ({bound} is {shown(values[bound])})" for bound in named)
            return f"{name} must lie in {allowed}{said}, found {shown(item)}"
    return None


def _interval(text: str) -> tuple[str, ...]:
    """The opening bracket, both bounds and the closing bracket of an interval."""
    match = _INTERVAL.fullmatch(text)
    assert match is not None  # checked when the part was read
    return match.groups()


def _bound(text: str, values: Mapping[str, Any]) -> float:
    value = values.get(text, text)
    return math.inf if value is None else float(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
