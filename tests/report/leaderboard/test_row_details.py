"""Cells and failures that a row of the page unfolds to."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from prunebench.report.leaderboard.row_details import details


def test_points_are_the_means_over_seeds(cells: pd.DataFrame) -> None:
    held = details(cells)
    at = {column["key"]: 4 + i for i, column in enumerate(held.columns)}
    assert sum(map(len, held.methods.values())) == 4 * (1 + 7 * 6)
    for point in held.methods["imp"]:
        task, regime, model = held.settings[point[0]]
        own = cells[
            (cells["task"] == task) & (cells["regime"] == regime) & (cells["model"] == model)
            & (cells["method"] == "imp") & (cells["sparsity"] == held.sparsities[point[1]])
        ]  # fmt: skip
        errors = [100 * error for error in own.sort_values("seed")["test_error"]]
        mean = sum(errors) / 3
        std = math.sqrt(sum((error - mean) ** 2 for error in errors) / 2)
        assert point[at["test_error_mean"]] == pytest.approx(mean, abs=0.00501)
        assert point[at["test_error_std"]] == pytest.approx(std, abs=0.00501)
        # 4.3027 is Student's t with two degrees of freedom
        wanted = 4.3027 * std / math.sqrt(3)
        assert point[at["test_error_half"]] == pytest.approx(wanted, abs=0.00601)
        assert point[at["train_epochs_mean"]] == 80
        assert point[2] == "3 ok"
        said = [f"{seed}: {error:.2f}" for seed, error in enumerate(errors)]
        assert point[3] == "; ".join(said)
    assert "latency_ms_mean" not in at


def test_failed_cells_are_counted_and_shown(cells: pd.DataFrame) -> None:
    held = details(cells)
    failures = [(name, *rest) for name, lost in held.failures.items() for rest in lost]
    assert {(name, status, message) for name, _, _, _, status, message in failures} == {
        ("snip", "diverged", "made up"),
        ("apoz", "failed", "made up"),
        ("magnitude", "collapsed", ""),
    }
    lost = next(p for p in held.methods["snip"] if p[2] != "3 ok")
    assert lost[2] == "1 diverged, 2 ok"
    assert "1: diverged" in lost[3]
    assert held.left_out == 0
    few = details(cells, records=10, failures=1)
    assert (few.each, few.left_out, sum(map(len, few.failures.values()))) == (False, 3, 1)
    assert all(point[3] == "" for listed in few.methods.values() for point in listed)
