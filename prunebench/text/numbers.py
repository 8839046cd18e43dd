"""Numbers as readers see them: fixed digits, a true minus sign, a dash where there is no value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MINUS = "−"
NONE = "–"  # stands where there is no value


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Return a number with fixed digits and a true minus sign; never ``−0.00``.

    Args:
        value: the number; None and NaN give ``–``.
        digits: digits after the point.
        sign: write the plus sign of a positive number too.
    """
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def significant(value: float, sign: bool = False) -> str:
    """Return a number with two digits after the point, or as many as show three that count."""
    size = abs(value)
    # a sum that should be zero may leave a rest of about 1e-16
    if isinstance(value, int) or math.isnan(value) or size < 1e-12:
        return number(value, 0, sign)
    digits = 1 if size >= 100 else 2 if size >= 0.1 else 2 - math.floor(math.log10(size))
    return number(value, digits, sign) if digits <= 6 else f"{value:.1e}".replace("-", MINUS)


def interval(
    low: float | None, high: float | None, digits: int | None = 2, sign: bool = True
) -> str:
    """Return ``[low, high]``, or ``–`` where an end is missing.

    Args:
        low: the lower end.
        high: the upper end.
        digits: digits after the point; None writes the ends as ``significant`` does.
        sign: whether a plus stands before ends above 0.
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return NONE
    ends = [significant(end, sign) if digits is None else number(end, digits, sign)
            for end in (low, high)]  # fmt: skip
    return f"[{ends[0]}, {ends[1]}]"


def error_interval(low: float, high: float, digits: int = 1) -> str:
    """Return the interval of an error in per cent, cut at what an error can be: 0 and 100.

    Few seeds give an interval that is wide and symmetric; what of it lies outside of an error's
    range is no error that any run could have. Differences of errors are not cut.

    Args:
        low: the lower end, a fraction.
        high: the upper end, a fraction.
        digits: digits after the point.
    """
    low, high = (100 * min(max(end, 0.0), 1.0) for end in (low, high))
    return interval(low, high, digits, sign=False)


def percent(fraction: float, digits: int = 2) -> str:
    """Return a fraction in per cent with no more digits than it needs: 0.984375 is ``98.44 %``."""
    if math.isnan(fraction):
        return NONE
    return f"{round(100 * fraction, digits):g} %"


def times(ratio: float) -> str:
    """Return a ratio with three digits that count: ``19.8×``."""
    return f"{ratio:.3g}×"


def p_value(value: float) -> str:
    """Return a p-value with three digits; smaller ones as ``< 0.001``."""
    return "< 0.001" if value < 0.001 else number(value, 3)


def mean_std(mean: float, std: float, digits: int = 1) -> str:
    """Return ``mean ± std``; the mean alone where there is one value only."""
    if math.isnan(mean) or math.isnan(std):
        return number(mean, digits)
    return f"{number(mean, digits)} ± {number(std, digits)}"


def plural(count: float, noun: str, verb: tuple[str, str] | None = None) -> str:
    """Return ``1 seed`` or ``3 seeds``; with a verb, ``1 field differs`` or ``3 fields differ``.

    Args:
        count: how many; of what is no count, such as points, also a fraction.
        noun: in the singular.
        verb: what goes with one, and what with more.
    """
    one = count == 1
    said = f"{value_text(count)} {noun}{'' if one else 's'}"
    return said if verb is None else f"{said} {verb[0 if one else 1]}"


def seeds_text(counts: Iterable[float]) -> str:
    """Return ``3 seeds``, or ``2 to 3 seeds`` where the counts differ."""
    numbers = sorted({int(n) for n in counts if n > 0})
    if len(numbers) > 1:
        return f"{numbers[0]} to {numbers[-1]} seeds"
    return plural(numbers[0] if numbers else 0, "seed")


def listed(items: Iterable[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``; nothing for no items."""
    *first, last = [*items] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Return the first names with commas, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def value_text(value: object) -> str:
    """Return a value of a setting as a person writes it: 0.1, not ``0.09999999999999999``."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)
