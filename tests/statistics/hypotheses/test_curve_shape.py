"""Double descent and memorization: planted curves, and scipy's correlations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebench.statistics.hypotheses import SHOWN, UNRESOLVED, UNTESTED, phases
from prunebench.statistics.hypotheses.correlation import partial_spearman, slope, spearman
from tests.statistics.hypotheses.conftest import Judge
from tests.statistics.hypotheses.planted import NOISY, Plan, Regime, cells, descent, none

PLAN = Plan({"rewind": descent}, regimes=(Regime("clean"), NOISY), seeds=6)


def marks(table: pd.DataFrame, regime: str) -> list[float]:
    found = phases(table)
    own = found[(found["regime"] == regime) & (found["method"] == "rewind")]
    return own[["maximum", "minimum", "collapse"]].iloc[0].tolist()


def test_the_phases_of_a_planted_descent_are_found() -> None:
    table = cells(PLAN)
    # at 0.96875 the error is back above the minimum and stays there
    assert marks(table, "noisy-40") == [0.75, 0.9375, 0.96875]


def test_without_noise_in_the_labels_no_fall_is_far() -> None:
    assert np.isnan(marks(cells(PLAN), "clean")[1])


def test_a_single_seed_shows_no_phase() -> None:
    table = cells(Plan(PLAN.truths, seeds=1))
    assert np.isnan(marks(table, "noisy-40")).all()


def test_a_curve_that_rises_nowhere_has_no_maximum() -> None:
    plan = Plan({"rewind": lambda regime, s: -20 * s if s < 0.97 else 10.0}, seeds=6)
    top, low, end = marks(cells(plan), "noisy-40")
    assert np.isnan(top)
    assert (low, end) == (0.96875, 0.984375)


def test_places_are_found_on_validation_and_read_on_test() -> None:
    table = cells(Plan(PLAN.truths, seeds=6))
    curve = (table["method"] == "rewind") & (table["regime"] == "noisy-40")
    lucky = curve & (table["sparsity"] == 0.5)
    table.loc[lucky, "test_error"] = 0.01  # lower than anywhere, on test alone
    assert marks(table, "noisy-40")[1] == 0.9375


def test_collapse_starts_where_it_stays() -> None:
    wave = {0.5: 1.0, 0.75: -9.0, 0.875: 5.0, 0.9375: -9.0, 0.96875: 4.0, 0.984375: 30.0}
    table = cells(Plan({"rewind": lambda regime, s: wave[s]}, seeds=6, noise=0.01))
    table["val_error"] += 0.01 * (table["sparsity"] == 0.9375)  # the first trough is chosen
    assert marks(table, "noisy-40") == [0.5, 0.75, 0.96875]


def test_double_descent_is_shown_where_it_was_planted(judge: Judge) -> None:
    found = judge(2, cells(PLAN))
    assert found.verdict == SHOWN
    pooled = found.evidence[found.evidence["scope"] == "noisy labels"].set_index("measure")
    assert pooled["value"].to_dict() == pytest.approx(
        {"rise": 3.0, "fall": -12.0, "collapse": 32.0}, abs=0.3
    )
    assert (pooled["p"] == 2**-5).all()  # six seeds, one method
    assert pooled["decision"].to_dict() == {"rise": "higher", "fall": "lower", "collapse": "higher"}
    single = found.evidence[found.evidence["scope"] == "t/noisy-40/m"].set_index("measure")
    assert single["sparsity"].to_dict() == {"rise": 0.75, "fall": 0.9375, "collapse": 0.96875}


@pytest.mark.parametrize("shape", ["no rise", "no far fall", "no collapse", "nothing"])
def test_two_phases_are_not_three(judge: Judge, shape: str) -> None:
    height = {0.5: 2.0, 0.75: 3.0, 0.875: -6.0, 0.9375: -12.0, 0.96875: -4.0, 0.984375: 20.0}
    changed = {
        "no rise": {0.5: -1.0, 0.75: -3.0},
        "no far fall": {0.875: 0.0, 0.9375: -0.3, 0.96875: 0.0},
        "no collapse": {0.96875: -13.0, 0.984375: -14.0},
        "nothing": dict.fromkeys(height, 0.0),
    }[shape]
    curve = height | changed
    found = judge(2, cells(Plan({"rewind": lambda regime, s: curve[s]}, seeds=8)))
    assert found.verdict == UNRESOLVED, found.sentence


def test_one_method_that_does_not_is_enough_to_show_nothing(judge: Judge) -> None:
    found = judge(2, cells(Plan({"rewind": descent, "magnitude": none}, seeds=8)))
    assert found.verdict == UNRESOLVED
    assert "shown for 1 of 2 methods" in found.sentence


def memorizing(falls: bool) -> Plan:
    """Error that falls with the memorized share, or apart from it."""
    share = {0.0: 1.0, 0.5: 0.9, 0.75: 0.7, 0.875: 0.5, 0.9375: 0.1, 0.96875: 0.0, 0.984375: 0.0}
    apart = {0.0: 1.0, 0.5: 0.1, 0.75: 0.2, 0.875: 0.3, 0.9375: 0.9, 0.96875: 0.0, 0.984375: 0.0}
    known = share if falls else apart
    error = {0.5: -3.0, 0.75: -9.0, 0.875: -15.0, 0.9375: -27.0, 0.96875: 20.0, 0.984375: 40.0}
    return Plan(
        {"rewind": lambda regime, s: error[s] if regime.label_noise else 0.0}, seeds=7,
        extra={"memorized": lambda regime, m, s, seed: known[s] if regime.label_noise else np.nan},
    )  # fmt: skip


def test_error_that_falls_with_memorization_is_shown(judge: Judge) -> None:
    found = judge(3, cells(memorizing(True)))
    assert found.verdict == SHOWN
    rows = found.evidence.set_index("measure")
    assert rows.loc["rank correlation", "value"] == pytest.approx(1.0)
    # planted: 3 points of error for 10 points of memorization
    assert rows.loc["points of error per point of memorization", "value"] == pytest.approx(
        0.3, abs=0.01
    )


def test_error_that_falls_apart_from_memorization_is_not(judge: Judge) -> None:
    assert judge(3, cells(memorizing(False))).verdict == UNRESOLVED


def test_the_correlation_is_that_of_plain_loops(judge: Judge) -> None:
    table = cells(Plan({"rewind": descent}, seeds=5, noise=2.0))
    found = judge(3, table).evidence.set_index("measure")
    noisy = table[table["regime"] == "noisy-40"]
    end = noisy[noisy["method"] == "rewind"].groupby("sparsity")["val_error"].mean().idxmin()
    rho, steep = [], []
    for _, own in noisy.groupby("seed"):
        own = own[own["sparsity"] <= end]
        rho.append(stats.spearmanr(own["memorized"], own["test_error"]).statistic)
        steep.append(stats.linregress(own["memorized"], own["test_error"]).slope)
    assert found.loc["rank correlation", "value"] == pytest.approx(np.mean(rho))
    assert found.loc["points of error per point of memorization", "value"] == pytest.approx(
        np.mean(steep)
    )


def test_at_equal_compression_error_is_compared_over_methods(judge: Judge) -> None:
    """Two methods of the same shape: the one that memorizes less has the lower error."""
    less = {"rewind": 0.0, "magnitude": 0.2}
    plan = Plan(
        {name: lambda regime, s, by=by: -30 * by + 9 * s for name, by in less.items()}, seeds=7,
        noise=2.0,
        extra={"memorized": lambda regime, m, s, seed: 1 - less.get(m, 0) - 0.01 * s},
    )  # fmt: skip
    table = cells(plan)
    found = judge(3, table)
    row = found.evidence.set_index("measure").loc["partial rank correlation, given compression"]
    values = []
    noisy = table[(table["regime"] == "noisy-40") & (table["sparsity"] > 0)]
    for _, own in noisy.groupby("seed"):
        x, y, z = (stats.rankdata(own[c]) for c in ("memorized", "test_error", "sparsity"))
        left = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
        values.append(stats.pearsonr(*left).statistic)
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["decision"] == "higher"
    # the minimum is at the first sparsity: along the curves there is nothing to say
    assert found.verdict == UNTESTED
    assert "at equal compression, test error falls with it" in found.sentence


def test_a_minimum_at_the_first_sparsity_leaves_nothing_to_correlate(judge: Judge) -> None:
    plan = Plan({"rewind": lambda regime, s: 10 * s}, seeds=3)
    assert judge(3, cells(plan)).verdict == UNTESTED


@pytest.mark.parametrize(("n", "levels"), [*product([5, 9, 30], [3, 100])])
def test_correlations_are_scipys(n: int, levels: int) -> None:
    generator = np.random.default_rng(n * levels)
    x, y, z = generator.integers(0, levels, size=(3, n)).astype(float)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert slope(x, y) == pytest.approx(stats.linregress(x, y).slope)
    # the partial correlation is that of what is left of the ranks after a line in z's
    ranks = [stats.rankdata(each) for each in (x, y, z)]
    left = [each - np.polyval(np.polyfit(ranks[2], each, 1), ranks[2]) for each in ranks[:2]]
    expected = stats.pearsonr(*left).statistic
    assert partial_spearman(x, y, z) == pytest.approx(expected)


def test_correlations_without_change_are_unknown() -> None:
    x, flat = np.arange(6.0), np.zeros(6)
    assert np.isnan([spearman(x, flat), slope(flat, x), spearman(x[:2], x[:2])]).all()
    assert np.isnan(
        [partial_spearman(x, x[::-1], x), partial_spearman(x[:4], x[:4], flat[:4])]
    ).all()
    assert partial_spearman(x, x, flat) == pytest.approx(1.0)
