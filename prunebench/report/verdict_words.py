"""Decisions in words, apart from the effect, its interval, and what so many seeds can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prunebench.statistics import UNRESOLVED


def in_words(decision: str, low: float | None, high: float | None, able: bool = True) -> str:
    """Return a decision in words that an interval beside it does not contradict.

    An interval may exclude 0 where the exact test cannot follow: few seeds have no small p. That is
    neither a difference shown nor an even match, and "unresolved" alone would read as one. Where no
    test of so many seeds could show any difference, that is said of all, whatever the interval.

    Args:
        decision: what was decided of an effect.
        low: the lower end of the effect's interval; None or NaN where there is none.
        high: its upper end.
        able: whether a test of as many seeds can show any difference.

    Returns:
        The decision; of an unresolved one that the seeds are too few, or, beside an interval that
        excludes 0, that the test did not show it.
    """
    if decision != UNRESOLVED:
        return decision
    if not able:
        return "too few seeds to test"
    return "not shown by the test" if excludes_zero(low, high) else decision


def of_score(values: Mapping[Any, Any]) -> str:
    """Return the verdict of a row of scores in words, by its interval and its test."""
    able = "cannot be significant" not in str(values["against_baseline"])
    return in_words(str(values["verdict"]), values["low"], values["high"], able)


def shortly(said: object, other: str) -> str:
    """Return what a test says, in a column whose title names the other side: without its name."""
    return str(said).replace(f" than {other}", "")


def excludes_zero(low: float | None, high: float | None) -> bool:
    """Return whether an interval lies on one side of 0."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return False
    return low > 0 or high < 0
