"""Decisions in words: never "unresolved" beside an interval that excludes 0."""

from __future__ import annotations

import math

import pytest

from prunebench.report.verdict_words import in_words, of_score, shortly


@pytest.mark.parametrize(
    ("decision", "low", "high", "able", "said"),
    [
        ("unresolved", -1.0, 2.0, False, "too few seeds to test"),
        ("unresolved", -1.0, 2.0, True, "unresolved"),
        ("unresolved", 50.0, 60.0, False, "too few seeds to test"),
        ("unresolved", -60.0, -50.0, True, "not shown by the test"),
        ("unresolved", math.nan, math.nan, True, "unresolved"),
        ("unresolved", None, None, True, "unresolved"),
        ("lower", -60.0, -50.0, True, "lower"),
        ("equivalent", -0.1, 0.1, False, "equivalent"),
        ("unresolved", math.nan, math.nan, False, "too few seeds to test"),
    ],
)
def test_words_agree_with_the_interval(
    decision: str, low: float | None, high: float | None, able: bool, said: str
) -> None:
    assert in_words(decision, low, high, able) == said


def test_a_score_says_what_its_seeds_allow() -> None:
    row = {"verdict": "unresolved", "low": 1.0, "high": 2.0}
    few = "2 seeds: differences cannot be significant"
    assert of_score(row | {"against_baseline": few}) == "too few seeds to test"
    assert of_score(row | {"against_baseline": "p = 0.06"}) == "not shown by the test"


def test_a_column_names_the_other_side_once() -> None:
    assert shortly("worse than dense (p = 0.008)", "dense") == "worse (p = 0.008)"
