"""How trainings ended, counted: each cell once, and the exact interval of those that failed."""

from __future__ import annotations

import pandas as pd
import pytest
from scipy import stats

from prunebench.statistics.outcome_shares import KINDS, kinds, outcome_shares

ROWS = {
    "learned": ("ok", "trained-out", 0.01),
    "plateau": ("ok", "trained-out", 0.2),
    "under-trained": ("ok", "under-trained", 0.3),
    "failed-to-train": ("ok", "failed-to-train", 0.9),
    "stopped": ("ok", "stopped", 0.3),
    "lost": ("diverged", None, None),
    "unknown": ("ok", None, 0.0),
}


def table() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"task": "t", "regime": "r", "model": "m", "method": "a", "status": status,
             "training_outcome": how, "plateau": error == 0.2, "published": None}
            for status, how, error in ROWS.values()
        ]
    )  # fmt: skip


def test_each_cell_is_of_one_kind() -> None:
    assert set(ROWS) == set(KINDS)
    assert kinds(table()).tolist() == list(ROWS)


def test_counts_and_the_interval_of_failures() -> None:
    [found] = outcome_shares(table()).to_dict("records")
    assert [found[kind] for kind in KINDS] == [1] * 7
    exact = stats.binomtest(2, 7).proportion_ci(method="exact")
    ends = (found["failed"], found["failed_low"], found["failed_high"])
    assert ends == pytest.approx((2 / 7, exact.low, exact.high))


def test_what_others_published_is_not_counted() -> None:
    theirs = table().assign(published="Somebody 2020", method="b")
    found = outcome_shares(pd.concat([table(), theirs], ignore_index=True))
    assert found["method"].tolist() == ["a"]


def test_a_table_without_outcomes_is_unknown() -> None:
    [found] = outcome_shares(table().drop(columns="training_outcome")).to_dict("records")
    assert (found["unknown"], found["lost"], found["cells"]) == (6, 1, 7)
