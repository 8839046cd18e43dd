"""Scores of every choice of task, regime, model and sparsity, within a limit."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.experiment.settings import Analysis
from prunebench.report.leaderboard.subsets import ALL, _depth, _ways, tables


def test_a_sparsity_is_scored_on_its_own_cells(cells: pd.DataFrame) -> None:
    chosen = cells[cells["regime"] == "noisy-40"]
    found = tables(chosen, Analysis(primary=["imp", "magnitude"]))
    assert found.depth == 2  # one task and one regime are no choice
    assert len(found.rows) == (1 + 2) * (1 + 6)
    for row in found.rows[ALL, ALL, "seed-cnn", "75 %"]:
        gaps = []
        for seed in (0, 1, 2):
            at = (chosen["model"] == "seed-cnn") & (chosen["seed"] == seed)
            dense = chosen.loc[at & (chosen["method"] == "dense"), "test_error"].item()
            own = at & (chosen["method"] == row["method"]) & chosen["sparsity"].isin([0, 0.75])
            gaps.append(100 * (chosen.loc[own, "test_error"].item() - dense))
        assert row["score"] == pytest.approx(np.mean(gaps), abs=0.00501)
        assert row["cells"] == 3
        assert ("exploratory" in row["against_baseline"]) == (
            row["method"] not in ("dense", "imp", "magnitude")
        )


def test_a_method_without_the_chosen_sparsity_is_not_there(cells: pd.DataFrame) -> None:
    some = cells[(cells["method"] != "wanda") | (cells["sparsity"] == 0.5)]
    found = tables(some, Analysis(primary=["wanda"]))
    assert "wanda" in [row["method"] for row in found.rows[ALL, ALL, ALL, "50 %"]]
    assert "wanda" not in [row["method"] for row in found.rows[ALL, ALL, ALL, "75 %"]]


def test_sparsities_that_read_alike_stay_apart(cells: pd.DataFrame) -> None:
    close = cells.replace({"sparsity": {0.96875: 0.99991, 0.984375: 0.99992}})
    found = tables(close[close["regime"] == "clean"], Analysis(), limit=100)
    assert found.axes["sparsity"][-2:] == ["99.991 %", "99.992 %"]


@given(st.lists(st.integers(1, 5), max_size=4), st.integers(1, 4), st.integers(0, 400))
def test_as_many_choices_as_fit_are_held(sizes: list[int], methods: int, limit: int) -> None:
    combinations = itertools.product(*(range(size + 1) for size in sizes))
    chosen = [sum(place > 0 for place in places) for places in combinations]
    assert list(_ways(sizes)) == [chosen.count(k) for k in range(len(sizes) + 1)]
    axes = {str(i): ["x"] * size for i, size in enumerate(sizes)}
    offered = [size for size in sizes if size > 1]
    depth = _depth(axes, methods, limit)
    rows = [methods * sum(list(_ways(offered))[: d + 1]) for d in range(len(offered) + 1)]
    assert depth == max([0, *(d for d, count in enumerate(rows) if count <= limit)])
