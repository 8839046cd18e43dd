from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prunebench.statistics import holm, sign_flip, signed_rank, smallest_p, verdict
from prunebench.statistics.significance import unit_shares


@pytest.mark.parametrize("n", [2, 3, 5, 8, 11])
def test_sign_flip_is_that_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 1, n)
    wanted = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(values) == pytest.approx(wanted.pvalue)


def test_sign_flip_by_hand() -> None:
    assert sign_flip(np.array([1.0])) == 1.0
    assert sign_flip(np.array([1.0, 2.0, 3.0])) == 0.25
    # sums of ±1 ±2 ±3 at least |1 + 2 − 3| = 0 away from 0: all
    assert sign_flip(np.array([1.0, 2.0, -3.0])) == 1.0
    assert sign_flip(np.zeros(5)) == 1.0
    # 0.1 + 0.2 − 0.3 is not 0 in floating point, and must count as if it were
    assert sign_flip(np.array([0.1, 0.2, -0.3])) == 1.0
    assert np.isnan(sign_flip(np.array([1.0, np.nan])))
    assert np.isnan(sign_flip(np.array([])))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_sign_flip_knows_no_order_sign_or_unit(values: list[int]) -> None:
    p = sign_flip(np.array(values, float))
    assert smallest_p(len(values)) <= p <= 1
    assert sign_flip(-np.array(values[::-1]) * 0.1) == pytest.approx(p)


def test_size_under_the_null() -> None:
    noise = np.random.default_rng(1).standard_normal((8, 4000))
    p = sign_flip(noise)
    for alpha in (0.05, 0.1, 0.25):
        exact = np.floor(alpha * 128) / 128  # p comes in steps of 2/2^8
        assert (p <= alpha).mean() == pytest.approx(exact, abs=3.5 * np.sqrt(exact / 4000))


def test_many_seeds_are_sampled_and_agree_with_the_t_test() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 40)
    assert sign_flip(values) == sign_flip(values)
    assert sign_flip(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_the_shares_of_units_sum_to_the_mean() -> None:
    nan = np.nan
    settings = [("t", "a", "m"), ("t", "b", "m"), ("t", "c", "m")]
    seeds = [np.array([0, 1, 2]), np.array([1, 2, 7]), np.array([5, 6])]
    values = [np.array([1.0, 2.0, 3.0]), np.array([4.0, nan, 6.0]), np.array([nan, nan])]
    # seed 0: 1/6; seed 1: 2/6 + 4/4; seed 2: 3/6; seed 7: 6/4
    found = unit_shares(settings, seeds, values)
    assert found == pytest.approx([1 / 6, 1 / 3 + 1, 0.5, 1.5])
    assert found.sum() == pytest.approx((2 + 5) / 2)


def test_a_unit_is_a_task_model_and_seed_with_its_regimes_together() -> None:
    one = np.array([0, 1])
    settings = [("t", "a", "m"), ("t", "b", "m"), ("t", "a", "n"), ("u", "a", "m")]
    values = [np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0]), np.array([7, 8.0])]
    # two seeds of (t, m) with both regimes, of (t, n) and of (u, m)
    found = unit_shares(settings, [one] * 4, values)
    assert sorted(found) == pytest.approx(sorted([4 / 8, 6 / 8, 5 / 8, 6 / 8, 7 / 8, 8 / 8]))
    # where the models of a task share the draws of a regime, a unit holds them all
    merged = unit_shares(settings, [one] * 4, values, {("t", "b")})
    assert sorted(merged) == pytest.approx(sorted([9 / 8, 12 / 8, 7 / 8, 8 / 8]))
    # a regime without values shares nothing
    values[1] = np.array([np.nan, np.nan])
    assert len(unit_shares(settings, [one] * 4, values, {("t", "b")})) == 6


def test_holm_by_hand() -> None:
    # 0.01·3; 0.02·2; max(0.04, 0.03·1)
    assert holm(np.array([0.02, 0.01, 0.03])) == pytest.approx([0.04, 0.03, 0.04])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])
    mixed = holm(np.array([np.nan, 0.01, 0.04]))
    assert np.isnan(mixed[0])
    assert mixed[1:] == pytest.approx([0.02, 0.04])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_nothing_and_bonferroni(p: list[float]) -> None:
    raw = np.array(p)
    adjusted = holm(raw)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, raw * len(raw)) + 1e-12).all()
    assert (adjusted[np.argsort(raw)] == np.sort(adjusted)).all()


def test_the_sign_flip_test_keeps_its_level() -> None:
    """Over all sign patterns of any sizes, ties among them, p ≤ α happens at most α often."""
    for sizes in ([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 2, 2, 9], [3.0]):
        n = len(sizes)
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        p = sign_flip(((1 - 2 * bits) * np.array(sizes, float)).T)
        for alpha in np.unique(p):
            assert (p <= alpha).mean() <= alpha + 1e-12


@pytest.mark.parametrize("n", [9, 13, 30])
def test_the_signed_rank_test_is_that_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, n)
    p, ranks = signed_rank(values)
    assert p == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)
    below, above = ((n * (n + 1) / 2 - sign * ranks) / 2 for sign in (1, -1))
    assert min(below, above) == pytest.approx(stats.wilcoxon(values).statistic)


def test_the_signed_rank_test_by_permuting_the_signs_of_ranks() -> None:
    """With ties and zeros: a sign-flip test of the ranks, zeros ranked and dropped (Pratt)."""
    values = np.array([0.0, 1, 1, -2, 3, 3, 0.1 + 0.2, 0.3, -5, 8])
    rounded = values.round(9)
    ranks = np.sign(rounded) * stats.rankdata(np.abs(rounded))
    p, total = signed_rank(values)
    assert p == pytest.approx(sign_flip(ranks[ranks != 0]))
    assert total == pytest.approx(ranks.sum())
    assert signed_rank(np.zeros(9)) == (1.0, 0.0)
    assert signed_rank(-values) == (pytest.approx(p), pytest.approx(-total))


def test_verdicts() -> None:
    assert verdict(0.25, -3, 3, 1, "dense", 0.05).endswith("with 3 seeds")
    assert verdict(1, -3, 1, 1, "dense", 0.05).endswith("with 1 seed")
    # 2^(1−6) = 0.03 would do for one method, not for seven
    assert verdict(0.21, -3, 6, 7, "dense", 0.05).endswith("with 6 seeds and 7 methods")
    # unless the others of the family have more seeds and come first
    assert verdict(0.031, -3, 6, 7, "dense", 0.05) == "better than dense (p = 0.031)"
    assert verdict(0.1, -3, 4, 1, "dense", 0.05, "task").endswith("with 4 tasks")
    assert verdict(0.031, -3, 6, 1, "dense", 0.05) == "better than dense (p = 0.031)"
    assert verdict(0.0001, 3, 20, 1, "dense", 0.05) == "worse than dense (p < 0.001)"
    assert verdict(0.3, 3, 9, 1, "dense", 0.05) == "no difference shown (p = 0.300)"
    assert verdict(float("nan"), 3, 9, 1, "dense", 0.05) == "not comparable"
