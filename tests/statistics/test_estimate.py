from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebench.errors import PrunebenchError
from prunebench.statistics import (
    EQUIVALENT,
    HIGHER,
    LOWER,
    UNRESOLVED,
    Estimate,
    decide,
    estimate,
    in_words,
    score,
)


def values(by_setting: dict[str, list[float]]) -> pd.DataFrame:
    """A row per regime and seed."""
    return pd.DataFrame(
        [
            {"task": "t", "regime": regime, "model": "m", "seed": seed, "value": value}
            for regime, numbers in by_setting.items()
            for seed, value in enumerate(numbers)
        ]
    )


def random_values(seeds: int, regimes: int = 2, effect: float = 1.0) -> pd.DataFrame:
    noise = np.random.default_rng(seeds).normal(effect, 1, (regimes, seeds))
    return values({str(regime): [*row] for regime, row in enumerate(noise)})


def test_settings_weigh_the_same_whatever_their_seeds() -> None:
    found = estimate(values({"a": [1.0, 2.0, 3.0], "b": [10.0]}))
    assert found.value == pytest.approx((2 + 10) / 2)
    assert (found.seeds, found.settings, found.interval_over) == (3, 2, "seeds")


@pytest.mark.parametrize("seeds", [2, 3, 6, 9])
def test_the_test_is_that_of_scipy_on_the_means_of_seeds(seeds: int) -> None:
    table = random_values(seeds)
    wanted = stats.permutation_test(
        (table.groupby("seed")["value"].mean().to_numpy(),), np.mean,
        permutation_type="samples", n_resamples=np.inf, alternative="two-sided",
    )  # fmt: skip
    assert estimate(table, draws=100).p == pytest.approx(wanted.pvalue)


def test_the_interval_is_about_students_in_one_setting() -> None:
    table = random_values(12, regimes=1)
    found = estimate(table)
    numbers = table["value"].to_numpy()
    low, high = stats.t.interval(0.95, 11, numbers.mean(), stats.sem(numbers))
    # the bootstrap of 12 values is not exactly normal
    assert found.low == pytest.approx(low, abs=0.08)
    assert found.high == pytest.approx(high, abs=0.08)


def test_score_and_estimate_are_one_piece() -> None:
    """A method's score at one sparsity is the estimate of its differences, to the bit."""
    numbers = random_values(5)
    cells = pd.concat(
        [
            numbers.drop(columns="value").assign(
                experiment="e", method=method, family="weight", sparsity=sparsity, status="ok",
                test_error=error,
            )
            for method, sparsity, error in (
                ("dense", 0.0, 0.3), ("a", 0.5, 0.3 + numbers["value"] / 100),
            )
        ]
    )  # fmt: skip
    row = score(cells).set_index("method").loc["a"]
    found = estimate(numbers)
    assert [found.value, found.low, found.high, found.p] == pytest.approx(
        [row["score"], row["low"], row["high"], row["p_baseline"]]
    )


def test_one_seed_has_no_interval_and_no_test() -> None:
    found = estimate(values({"a": [-3.0]}))
    assert (found.value, found.p, found.seeds) == (-3.0, 1.0, 1)
    assert np.isnan([found.low, found.high]).all()
    assert decide(found, margin=0.5) == UNRESOLVED
    words = in_words(found, 0.5)
    assert words.startswith("−3.00 points, ")
    assert words.endswith("with 1 seed")


def test_holes_take_no_part() -> None:
    nan = float("nan")
    found = estimate(values({"a": [1.0, nan, 3.0], "b": [2.0, 2.0, nan], "c": [nan, nan, nan]}))
    assert found.value == pytest.approx(2)
    assert (found.seeds, found.settings) == (3, 2)
    assert np.isfinite([found.low, found.high, found.p]).all()
    lonely = estimate(values({"a": [1.0, 3.0], "b": [2.0, nan]}))
    assert np.isnan(lonely.low)  # the spread of b is not known
    empty = estimate(values({"a": [nan, nan]}))
    assert np.isnan([empty.value, empty.low, empty.p]).all()
    assert in_words(empty, 0.5) == "not measured"


def test_what_cannot_be_right_is_refused() -> None:
    table = values({"a": [1.0, 2.0]})
    with pytest.raises(PrunebenchError, match="t/a/m/1: more than one value"):
        estimate(pd.concat([table, table.tail(1)]))
    with pytest.raises(PrunebenchError, match=r"column.* seed"):
        estimate(table.drop(columns="seed"))
    with pytest.raises(PrunebenchError, match="must be finite"):
        estimate(table.assign(value=np.inf))
    with pytest.raises(PrunebenchError, match="0 or wider, found -1"):
        decide(estimate(table), margin=-1)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(12)), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_order_changes_nothing_and_the_unit_only_the_unit(
    order: list[int], shift: float, scale: float
) -> None:
    table = random_values(6)
    found = estimate(table, draws=200)
    assert estimate(table.iloc[order], draws=200) == found
    moved = estimate(table.assign(value=shift + scale * table["value"]), draws=200)
    ends = [shift + scale * end for end in (found.value, found.low, found.high)]
    assert [moved.value, moved.low, moved.high] == pytest.approx(ends)
    turned = estimate(table.assign(value=-table["value"]), draws=200)
    assert turned.p == pytest.approx(found.p)


def made(low: float, high: float, p: float, seeds: int = 6) -> Estimate:
    return Estimate((low + high) / 2, low, high, p, seeds, 1, seeds)


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (-2, -1, 0.03, LOWER),
        (1, 2, 0.03, HIGHER),
        (-2, -1, 0.06, UNRESOLVED),  # the test says no
        (-2, 0.1, 0.03, UNRESOLVED),  # the interval says no
        (-0.4, -0.1, 0.03, EQUIVALENT),  # different, but not by what matters
        (-0.5, 0.5, 1.0, EQUIVALENT),  # the ends belong to the region
        (-0.51, 0.2, 1.0, UNRESOLVED),
        (float("nan"), float("nan"), 0.01, UNRESOLVED),
        (-2, -1, float("nan"), UNRESOLVED),
    ],
)
def test_decisions(low: float, high: float, p: float, said: str) -> None:
    assert decide(made(low, high, p), margin=0.5) == said


def test_decisions_by_the_adjusted_p_and_another_level() -> None:
    found = made(-2, -1, 0.03)
    assert decide(found, 0.5, p=0.06) == UNRESOLVED
    assert decide(found, 0.5, p=0.06, alpha=0.1) == LOWER
    assert decide(found, 0.5, alpha=0.01) == UNRESOLVED


@given(st.floats(-9, 9), st.floats(0, 9), st.floats(0, 1), st.floats(0, 3))
def test_a_decision_mirrors_with_the_sign(low: float, wide: float, p: float, margin: float) -> None:
    mirror = {LOWER: HIGHER, HIGHER: LOWER, EQUIVALENT: EQUIVALENT, UNRESOLVED: UNRESOLVED}
    said = decide(made(low, low + wide, p), margin)
    assert decide(made(-low - wide, -low, p), margin) == mirror[said]


def test_words() -> None:
    assert in_words(made(-2, -1, 0.03125), 0.5) == (
        "−1.50 points [−2.00, −1.00], lower (p = 0.031, 6 seeds)"
    )
    assert in_words(made(1, 2, 0.0001, 20), 0.5, unit="") == (
        "+1.50 [+1.00, +2.00], higher (p < 0.001, 20 seeds)"
    )
    assert in_words(made(-2, 1, 0.4), 0.5).endswith("no difference shown (p = 0.400, 6 seeds)")
    assert in_words(made(-2, -1, 0.25, 3), 0.5).endswith(", cannot be significant with 3 seeds")
    assert in_words(made(-2, -1, 0.03), 0.5, p=0.19, family=6).endswith(
        ", cannot be significant with 6 seeds and 6 comparisons"
    )
    # three seeds cannot show a difference, but they can show that there is none that matters
    assert in_words(made(-0.1, 0.2, 0.75, 3), 0.5).endswith("equivalent (inside ±0.5, 3 seeds)")
    small = made(-0.0021, -0.0011, 0.03)
    assert in_words(small, 0.0001, unit="").startswith("−0.0016 [−0.0021, −0.0011]")
