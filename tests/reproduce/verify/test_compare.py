"""The verdict on a cell: bits as text has them, intervals as scipy has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebench.reproduce.verify.compare_records import (
    BITS,
    DECIDES_BITS,
    DIFFERENT,
    IDENTICAL,
    INSIDE,
    UNDECIDED,
    compare,
    errors_of,
    interval,
    same,
)
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.records import COST, QUALITY

CELL = Coordinates("digits", "clean", "seed-cnn", 0, "imp", 0.5)
ERRORS = [0.10, 0.12, 0.14]
RECORD = {
    "status": "ok", "classes": "10", "data_hash": "d", "label_hash": "l", "mask_hash": "m",
    "params_total": "100.0", "train_epochs": "6.0", "test_error": "0.1", "train_nll": "",
    "train_seconds": "1.5", "torch_version": "2.9.0", "threads": "1",
}  # fmt: skip
HERE = {
    "status": "ok", "classes": 10, "data_hash": "d", "label_hash": "l", "mask_hash": "m",
    "params_total": 100, "train_epochs": 6.0, "test_error": 0.1, "train_nll": None,
    "train_seconds": 9.0, "torch_version": "2.9.0", "threads": 1, "sharpness": 3.0,
}  # fmt: skip


def judged(errors: list[float] = ERRORS, **here: Any) -> Any:
    return compare(CELL, RECORD, {**HERE, **here}, errors)


def test_times_are_no_bits() -> None:
    assert not set(BITS) & (set(COST) - {"train_epochs"})
    assert set(QUALITY) < set(BITS)


def test_the_same_bits() -> None:
    found = judged()
    # neither the time nor a column that the record's table does not have counts
    assert (found.verdict, found.reason, found.differs) == (IDENTICAL, "", ())
    assert found.environment == ()


def test_a_changed_mask_inside_the_interval() -> None:
    found = judged(mask_hash="other", test_error=0.15)
    assert (found.verdict, found.differs) == (INSIDE, ("mask_hash", "test_error"))
    assert "test_error 0.1500, in the record 0.1000, interval [0.0206, 0.2194]" in found.reason


def test_a_number_that_was_written_over_is_not_hidden_by_the_interval() -> None:
    machine = {"device": "cpu", **dict.fromkeys(DECIDES_BITS, "x")}
    forged = compare(CELL, RECORD | machine, HERE | machine | {"test_error": 0.102}, ERRORS)
    assert forged.verdict == DIFFERENT
    assert "the same bits are expected" in forged.reason
    # elsewhere, with other code, on a GPU, or of a mask that times decide, other bits may be right
    for change in ({"processor": "y"}, {"code_hash": "y"}, {"device": "cuda"}, {"mask_hash": "y"}):
        other = HERE | machine | {"test_error": 0.102} | change
        assert compare(CELL, RECORD | machine, other, ERRORS).verdict == INSIDE
    unknown = {**RECORD, **machine, "processor": ""}
    assert compare(CELL, unknown, HERE | machine | {"test_error": 0.102}, ERRORS).verdict == INSIDE


def test_outside_of_the_interval() -> None:
    assert judged(test_error=0.2193).verdict == INSIDE
    assert judged(test_error=0.2195).verdict == DIFFERENT
    assert judged(test_error=0.0205).verdict == DIFFERENT


def test_few_seeds_decide_nothing_but_the_same_bits() -> None:
    assert judged(errors=[0.1, 0.12], test_error=0.11).verdict == UNDECIDED
    assert judged(errors=[0.1]).verdict == IDENTICAL


@pytest.mark.parametrize(
    "change",
    [{"status": "diverged"}, {"data_hash": "x"}, {"label_hash": "x"}, {"train_epochs": 7.0},
     {"params_total": 101}, {"classes": 9}],
    ids=str,
)  # fmt: skip
def test_another_thing_was_computed(change: dict[str, Any]) -> None:
    [column] = change
    found = judged(**change)
    assert found.verdict == DIFFERENT
    assert found.reason.startswith(f"{column} is ")


def test_why_a_cell_failed_is_told() -> None:
    found = judged(status="failed", message="RuntimeError: no", test_error=None)
    assert found.reason == "status is failed, in the record ok (RuntimeError: no)"


def test_what_differs_around_it() -> None:
    found = judged(torch_version="2.10.0", threads=2)
    assert found.verdict == IDENTICAL
    assert found.environment == (("torch_version", "2.9.0", "2.10.0"), ("threads", "1", "2"))


# ------------------------------------------------------------------------------ the interval


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=20))
def test_interval_is_scipys(errors: list[float]) -> None:
    found = interval([*errors, math.nan])
    assert found is not None
    n, scale = len(errors), np.std(errors, ddof=1) * math.sqrt(1 + 1 / len(errors))
    if scale > 0:
        expected = stats.t.interval(0.95, n - 1, loc=np.mean(errors), scale=scale)
        within = np.clip(expected, 0, 1)  # an error is a fraction
        assert found == pytest.approx(within, abs=1e-9)
    else:
        assert found == pytest.approx((errors[0], errors[0]))


def test_interval_covers_one_further_run() -> None:
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(4000):
        *errors, further = draw.normal(0.3, 0.02, size=4)
        low, high = interval(errors) or (math.nan, math.nan)
        hits += low <= further <= high
    assert hits / 4000 == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_no_interval_with_two_seeds() -> None:
    assert interval([0.1, 0.2, math.nan]) is None


def test_errors_are_of_the_same_cell_with_any_seed() -> None:
    key = {"task": "digits", "regime": "clean", "model": "seed-cnn", "method": "imp"}
    rows = [
        {**key, "sparsity": 0.5, "status": "ok", "test_error": 0.1},
        {**key, "sparsity": 0.5, "status": "collapsed", "test_error": 0.2},
        {**key, "sparsity": 0.5, "status": "failed", "test_error": math.nan},
        {**key, "sparsity": 0.9, "status": "ok", "test_error": 0.3},
        {**key, "sparsity": 0.5, "status": "ok", "test_error": 0.4, "method": "random"},
        {**key, "sparsity": 0.5, "status": "ok", "test_error": 0.5, "regime": "noisy"},
    ]
    assert errors_of(pd.DataFrame(rows), CELL).tolist() == [0.1, 0.2]


# --------------------------------------------------------------------------------- the text


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_a_number_is_the_same_to_its_last_digit_alone(value: float, up: bool) -> None:
    text = repr(value)
    assert same(text, value)
    assert not same(text, math.nextafter(value, math.inf if up else -math.inf))


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [("", None, True), (math.nan, None, True), ("", math.nan, True), ("", 0, False),
     ("76990.0", 76990, True), ("0", None, False), ("ok", "ok", True), ("ok", "failed", False),
     ("True", True, True), ("nan", "inf", False)],
)  # fmt: skip
def test_fields(text: Any, value: Any, expected: bool) -> None:
    assert same(text, value) is expected
