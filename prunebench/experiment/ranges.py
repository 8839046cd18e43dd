"""Ranges of a part's parameters, as its trait ``ranges`` declares them; checked without running it.

A range is an interval such as ``"[0, 1)"``, whose bounds are numbers, ``inf`` or other parameters'
names, or a tuple of words, or a mapping of words to intervals: the parameter is then a mapping of
one of these words to a number.
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
    by_word = isinstance(value, dict) and value and all(map(_is_interval, value.values()))
    if words or by_word or _is_interval(value):
        return value
    raise ValueError(f"must be an interval such as '[0, 1)', or words, found {shown(value)}")


def _is_interval(value: Any) -> bool:
    return isinstance(value, str) and _INTERVAL.fullmatch(value) is not None


Range = Annotated[str | tuple[str, ...] | dict[str, str], BeforeValidator(_range)]


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
        for interval in _intervals(allowed):
            for bound in _interval(interval)[1:3]:
                if bound not in known and not _is_number(bound):
                    raise PrunebenchError(
                        f"{where}: {name}: {bound!r} in {interval!r} is neither a number nor a"
                        f" parameter{suggest(bound, known)}"
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
    if isinstance(allowed, dict):
        return _out_of_mapping(name, value, allowed, values)
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


def _out_of_mapping(
    name: str, value: Any, allowed: Mapping[str, str], values: Mapping[str, Any]
) -> str | None:
    """How a mapping of one word to a number is out of its range, None where it is not."""
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= set(allowed):
        form = " or ".join(f"{{{word}: …}}" for word in allowed)
        return f"{name} must be {form}, found {shown(value)}"
    [(word, number)] = value.items()
    if isinstance(number, bool) or not isinstance(number, int | float):
        return f"{name}: {word} must be a number, found {shown(number)}"
    return out_of_range(f"{name}: {word}", number, allowed[word], values)


def _intervals(allowed: Range) -> list[str]:
    if isinstance(allowed, tuple):
        return []
    return [allowed] if isinstance(allowed, str) else list(allowed.values())


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
