"""The leading method, and those not shown to be behind: against scipy's permutation test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from prunebench.statistics.best_methods import find_leader
from prunebench.statistics.setting_scores import score_settings, seed_scores
from tests.report.made_up import synthetic

PLACE = {"task": "t", "regime": "r", "model": "m"}


def table(errors: dict[str, list[float]], **place: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {**PLACE, **place, "seed": seed, "method": method, "value": value}
            for method, values in errors.items()
            for seed, value in enumerate(values)
        ]
    )


def test_a_clear_winner_leads_alone() -> None:
    base = np.linspace(0, 0.1, 8)
    found = find_leader(table({"a": list(base), "b": list(base + 0.1), "c": list(base + 0.2)}))
    assert found is not None
    assert (found.method, found.alone, found.tied, found.unable) == ("a", True, frozenset(), "")


@pytest.mark.parametrize(
    ("seeds", "others", "able"),
    [(5, 1, False), (6, 1, True), (6, 2, False), (7, 3, True), (8, 6, True), (8, 7, False)],
)
def test_the_smallest_p_decides_whether_a_test_could_tell(
    seeds: int, others: int, able: bool
) -> None:
    # 2^(1 - n) times the number of comparisons must be at most 0.05
    errors = {f"m{i}": [i + 0.1 * seed for seed in range(seeds)] for i in range(others + 1)}
    found = find_leader(table(errors))
    assert found is not None
    assert (found.unable == "") is found.alone is able
    assert found.method == "m0"


@pytest.mark.parametrize("draw", range(8))
def test_a_tie_is_what_the_exact_test_does_not_show(draw: int) -> None:
    generator = np.random.default_rng(draw)
    a, b = generator.normal(0, 1, 7), generator.normal(0.9, 1, 7)
    first, second = ("a", "b") if a.mean() < b.mean() else ("b", "a")
    found = find_leader(table({"a": list(a), "b": list(b)}))
    exact = permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert found is not None
    assert found.method == first
    if exact > 0.05:
        assert found.tied == {second}
    if exact < 0.02:
        assert found.alone


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=7, max_size=7), min_size=2, max_size=3),
    st.randoms(use_true_random=False),
)
def test_order_and_seeds_names_change_nothing(errors: list[list[int]], random: object) -> None:
    made = table({f"m{i}": [x / 10 for x in values] for i, values in enumerate(errors)})
    found = find_leader(made)
    assert found == find_leader(made.sample(frac=1, random_state=0))
    assert found is not None
    assert found.method not in found.tied
    means = made.groupby("method")["value"].mean()
    assert means[found.method] == pytest.approx(means.min())


def test_one_method_and_missing_settings() -> None:
    assert find_leader(table({"a": [0.1, 0.2]})) is None
    both = pd.concat([table({"a": [0.1] * 7, "b": [0.2] * 7}),
                      table({"b": [0.2] * 7, "c": [0.3] * 7}, regime="other")])  # fmt: skip
    assert find_leader(both) is None  # only b has both settings
    assert find_leader(both[both["regime"] == "r"]).method == "a"


def test_areas_are_what_the_score_averages() -> None:
    from prunebench.statistics import score

    cells = synthetic()
    values = seed_scores(score_settings(cells, "dense", "random", 100))
    means = values.groupby(["regime", "model", "method"])["value"].mean()
    scores = score(cells, draws=100).set_index("method")["score"]
    for method, wanted in scores.items():
        assert means.xs(method, level="method").mean() == pytest.approx(wanted)
