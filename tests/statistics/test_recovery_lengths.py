"""Lengths of recovery: what stands for a method, errors and gains by hand, changes of sign."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebench.statistics.recovery_lengths import (
    compared,
    errors_by_length,
    in_order,
    longest,
    sign_changes,
)


def cell(method: str, length: float, seed: int, test: float, **more: object) -> dict[str, object]:
    name = method if length == 1 else f"{method}-{length:g}x"
    pruned = not method.startswith("dense")
    return {
        "experiment": "e", "task": "t", "regime": "noisy", "model": "m", "method": name,
        "family": "weight" if pruned else "dense", "seed": seed, "status": "ok",
        "sparsity": 0.75 if pruned else 0.0, "compression_ratio": 3.0 if pruned else 1.0,
        "base_method": method, "recovery_length": length, "control": not pruned,
        "test_error": test / 100, "stopped_test_error": 0.2, "training_outcome": "trained-out",
    } | more  # fmt: skip


def small() -> pd.DataFrame:
    """A gain of 12 points at length 1, under-trained; a loss of 6 at length 10."""
    late = {"training_outcome": "under-trained"}
    return pd.DataFrame(
        [
            *(cell("dense", 1, seed, test) for seed, test in enumerate((32, 33, 34))),
            *(cell("a", 1, seed, test, **late) for seed, test in enumerate((20, 21, 22))),
            *(cell("a", 10, seed, test) for seed, test in enumerate((37, 39, 41))),
            cell("a", 3, 0, 30), cell("a", 3, 1, 32),
            cell("a", 3, 2, 90, training_outcome="failed-to-train"),
            cell("only", 1, 0, 30),
        ]
    )  # fmt: skip


def test_errors_by_hand_without_what_failed() -> None:
    found = errors_by_length(small()).set_index("length")
    assert list(found.index) == [1, 3, 10]  # a alone was run at several lengths
    assert found["trained"].tolist() == pytest.approx([0.21, 0.31, 0.39])
    assert found["stopped"].tolist() == pytest.approx([0.2, 0.2, 0.2])
    assert found["gain"].tolist() == pytest.approx([12, (2 + 1) / 2, -6])
    assert found["under"].tolist() == [3, 0, 0]
    assert found["failed"].tolist() == [0, 1, 0]
    assert found["ratio"].tolist() == pytest.approx([3, 3, 3])
    low, high = stats.t.interval(0.95, 2, loc=-6, scale=stats.sem([-5, -6, -7]))
    assert found.loc[10, ["gain_low", "gain_high"]].tolist() == pytest.approx([low, high])


def test_a_failed_baseline_takes_its_pair_along() -> None:
    cells = small()
    cells.loc[2, "training_outcome"] = "failed-to-train"  # dense, seed 2
    found = errors_by_length(cells).set_index("length")
    assert found.loc[10, "gain"] == pytest.approx((-5 - 6) / 2)
    assert found.loc[10, "trained"] == pytest.approx(0.39)  # its own error stays known


def test_a_gain_that_turns_into_a_loss_is_found() -> None:
    found = errors_by_length(small())
    [change] = sign_changes(found, 0.5).to_dict("records")
    assert (change["length_first"], change["length_last"]) == (1, 10)
    assert (change["gain_first"], change["gain_last"]) == pytest.approx((12, -6))
    assert (change["under_first"], change["seeds_first"], change["sure"]) == (3, 3, True)
    assert sign_changes(found, 6.5).empty  # within the region of equivalence
    wide = found.assign(gain_high=np.where(found["gain"] < 0, 1.0, found["gain_high"]))
    assert not sign_changes(wide, 0.5)["sure"].any()


def test_the_longest_form_stands_for_a_method() -> None:
    cells = small()
    assert longest(cells) == ["a-10x", "dense", "only"]
    assert longest(cells, ["a"]) == ["a-10x"]
    assert in_order(cells, ["a-10x", "only", "a-3x", "a"]) == ["a", "a-3x", "a-10x", "only"]
    assert compared(cells) == ["a-10x", "only"]
    assert compared(cells, ["a", "absent"]) == ["a"]


def test_tables_without_the_columns_have_one_length() -> None:
    cells = small().drop(columns=["base_method", "recovery_length", "control"])
    assert errors_by_length(cells).empty
    assert longest(cells) == ["a", "a-10x", "a-3x", "dense", "only"]
    assert compared(cells.replace({"method": {"only": "random"}})) == ["a", "a-10x", "a-3x"]
