"""The summaries of rliable, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prunebench.statistics.robust_summaries import (
    interquartile_mean,
    performance_profiles,
    probability_of_improvement,
    robust_summaries,
)

NUMBERS = st.lists(st.integers(-5, 5), min_size=2, max_size=9)


@given(NUMBERS, NUMBERS)
def test_the_definitions_are_those_of_rliable(one: list[int], other: list[int]) -> None:
    a, b = np.array(one, float), np.array(other, float)
    # rliable.metrics: scipy.stats.trim_mean(scores, 0.25, axis=None), and mannwhitneyu's U over
    # the pairs; there higher is better
    assert interquartile_mean([a, b]) == pytest.approx(stats.trim_mean([*a, *b], 0.25))
    u = stats.mannwhitneyu(-a, -b, alternative="greater").statistic
    assert probability_of_improvement([a], [b]) == pytest.approx(u / (len(a) * len(b)))


def values(by_method: dict[str, list[list[float]]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"task": "t", "regime": str(r), "model": "m", "seed": s, "method": name, "value": v}
            for name, regimes in by_method.items()
            for r, runs in enumerate(regimes)
            for s, v in enumerate(runs)
        ]
    )


def test_a_run_that_fails_moves_the_mean_and_not_the_summary() -> None:
    runs = [[-2.0, -1.0, 0.0, 1.0], [-2.0, -1.0, 0.0, 60.0]]
    found = robust_summaries(values({"a": runs, "b": [[0.5] * 4] * 2}), "b", draws=400)
    found = found.set_index("method")
    assert found.loc["a", "iqm"] == pytest.approx((-1 - 1 + 0 + 0) / 4)
    assert found.loc["a", "iqm_low"] < -0.5 < found.loc["a", "iqm_high"]
    assert found.loc["a", "improvement"] == pytest.approx((3 / 4 + 3 / 4) / 2)
    assert np.isnan(found.loc["b", "improvement"])
    assert found.loc["a", "runs"] == 8


def test_settings_that_one_lacks_take_no_part_and_one_run_has_no_interval() -> None:
    found = robust_summaries(values({"a": [[1.0], [9.0]], "b": [[2.0]]}), "b", draws=50)
    row = found.set_index("method").loc["a"]
    assert row["improvement"] == 1
    assert np.isnan(row[["iqm_low", "improvement_high"]].astype(float)).all()


def test_the_profile_counts_the_runs_below_each_threshold() -> None:
    found = performance_profiles(values({"a": [[-1.0, 0.0], [2.0, 3.0]]}), np.array([-2.0, 0, 2.5]))
    assert [*found["share"]] == [0, 0.25, 0.75]
