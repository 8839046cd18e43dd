"""Numbers and lists as readers see them."""

from __future__ import annotations

import pytest

from prunebench.text.numbers import (
    error_interval,
    interval,
    listed,
    number,
    percent,
    plural,
    seeds_text,
    significant,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (0.0, "0"), (-12.345, "−12.35"), (0.01234, "0.0123"), (123.456, "123.5"),
     (1e-9, "1.0e−09"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_show_what_counts(value: float, text: str) -> None:
    assert significant(value) == text


def test_lists_read_well() -> None:
    assert [listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_what_has_no_value_is_a_dash_and_zero_has_no_sign() -> None:
    nan = float("nan")
    assert [number(None), number(nan), percent(nan), interval(nan, 1)] == ["–"] * 4
    assert [number(-0.001), number(-0.001, 1, sign=True), number(1.5, sign=True)] == [
        "0.00", "0.0", "+1.50",
    ]  # fmt: skip
    assert interval(-1, 2) == "[−1.00, +2.00]"
    assert interval(-0.01234, 2.0, digits=None) == "[−0.0123, +2.00]"


def test_counts_agree_with_their_nouns() -> None:
    assert [plural(n, "seed") for n in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
    assert [plural(n, "point") for n in (1.0, 0.5)] == ["1 point", "0.5 points"]
    said = [plural(n, "field", ("differs", "differ")) for n in (1, 2)]
    assert said == ["1 field differs", "2 fields differ"]
    assert [seeds_text(n) for n in ([], [1], [3, 3], [2, 3])] == [
        "0 seeds", "1 seed", "3 seeds", "2 to 3 seeds",
    ]  # fmt: skip


def test_the_interval_of_an_error_ends_where_errors_end() -> None:
    assert error_interval(-0.04, 0.143) == "[0.0, 14.3]"
    assert error_interval(0.9, 1.2) == "[90.0, 100.0]"
    assert error_interval(0.024, 0.078) == "[2.4, 7.8]"
