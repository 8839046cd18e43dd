"""Hypotheses on criterion, recovery, harm and predictors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prunebench.statistics.hypotheses import EQUIVALENT, SHOWN, UNRESOLVED, UNTESTED
from tests.statistics.hypotheses.conftest import Judge
from tests.statistics.hypotheses.planted import CLEAN, NOISY, Plan, Regime, Truth, cells, none


def shift(points: float) -> Truth:
    return lambda regime, sparsity: points


def only_noisy(points: float) -> Truth:
    return lambda regime, sparsity: points if regime.label_noise else 0.0


def test_a_criterion_above_both_controls_is_shown(judge: Judge) -> None:
    truths = {"magnitude": none, "at-random": shift(4), "mixed": lambda r, s: 8 * s}
    found = judge(6, cells(Plan(truths)))
    assert found.verdict == SHOWN
    rows = found.evidence[
        found.evidence["measure"] == "integrated gain minus that of the control"
    ].set_index(["scope", "against"])["value"]
    assert rows["all settings", "at-random"] == pytest.approx(4, abs=0.1)
    s = np.array([0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375])
    mean = np.trapezoid(8 * s, -np.log2(1 - s)) / 5
    assert rows["all settings", "mixed"] == pytest.approx(mean, abs=0.1)


def test_a_criterion_like_both_is_equivalent_and_a_worse_one_is_named(judge: Judge) -> None:
    same = {"magnitude": none, "at-random": none, "mixed": none}
    assert judge(6, cells(Plan(same))).verdict == EQUIVALENT
    found = judge(6, cells(Plan({**same, "mixed": shift(-3)})))
    assert found.verdict == UNRESOLVED
    assert "The criterion harms: magnitude against mixed" in found.sentence


def test_a_control_of_one_kind_shows_half(judge: Judge) -> None:
    found = judge(6, cells(Plan({"magnitude": none, "at-random": shift(4)})))
    assert found.verdict == UNRESOLVED
    assert "No shuffled masks were recorded" in found.sentence


def test_a_control_of_another_recovery_does_not_decide(judge: Judge) -> None:
    found = judge(6, cells(Plan({"rewind": none, "at-random": shift(4)})))
    assert found.verdict == UNTESTED
    assert "recovery: learning-rate-rewinding against fine-tuning" in found.sentence
    assert len(found.evidence)


@pytest.mark.parametrize(
    ("back", "kept", "verdict"),
    [(-8, 2, SHOWN), (3, -3, SHOWN), (-8, -8, EQUIVALENT)],
)
def test_rewinding_against_continuing_under_the_same_learning_rates(
    judge: Judge, back: float, kept: float, verdict: str
) -> None:
    plan = Plan({"back": only_noisy(back), "rewind": only_noisy(kept)})
    found = judge(7, cells(plan))
    assert found.verdict == verdict
    [row] = found.evidence.to_dict("records")
    assert (row["method"], row["against"]) == ("back", "rewind")
    assert row["value"] == pytest.approx(kept - back, abs=0.3)


def test_fine_tuning_has_learning_rates_of_its_own_and_stands_beside(judge: Judge) -> None:
    plan = Plan({"back": only_noisy(-8), "magnitude": only_noisy(2)})
    found = judge(7, cells(plan))
    assert found.verdict == UNTESTED
    assert found.evidence["value"].to_list() == pytest.approx([10], abs=0.3)


def test_another_length_of_recovery_is_no_pair(judge: Judge) -> None:
    table = cells(Plan({"back": only_noisy(-8), "rewind": only_noisy(2)}))
    table["recovery_length"] = np.where(table["method"] == "rewind", 10, 1)
    assert judge(7, table).verdict == UNTESTED


def test_a_sparsity_at_chance_says_nothing_about_the_criterion(judge: Judge) -> None:
    """Random masks collapse at the two largest sparsities: there any criterion would win."""

    def collapsing(regime: Regime, sparsity: float) -> float:
        return 60.0 if sparsity > 0.95 else 1.0

    found = judge(6, cells(Plan({"magnitude": none, "at-random": collapsing, "mixed": shift(4)})))
    rows = found.evidence[found.evidence["scope"] == "all settings"].set_index("against")
    assert rows.loc["at-random", "value"] == pytest.approx(1, abs=0.2)
    assert rows.loc["mixed", "value"] == pytest.approx(4, abs=0.2)


def test_a_lone_recovery_has_no_pair(judge: Judge) -> None:
    assert judge(7, cells(Plan({"rewind": none}))).verdict == UNTESTED


def harms(pruned: float, long: float) -> dict[str, object]:
    """The measures of harm: ``pruned`` and ``long`` above the dense model's 0.1."""

    def value(regime: Regime, method: str, sparsity: float, seed: int) -> float:
        extra = 0.0 if method == "dense" else long if method == "long" else pruned
        return 0.1 + extra + 0.001 * np.random.default_rng(seed).normal() * (method != "dense")

    names = ("flips_to_wrong", "worst_class_change", "corrupted_error", "test_ece", "test_nll")
    return dict.fromkeys(names, value)


def test_harm_under_an_equal_error_is_shown(judge: Judge) -> None:
    plan = Plan({"magnitude": none, "long": none}, extra=harms(0.05, 0.0))
    found = judge(8, cells(plan))
    assert found.verdict == SHOWN
    rows = found.evidence[found.evidence["method"] == "the family"].set_index(
        ["measure", "against"]
    )["value"]
    assert rows["right predictions turned wrong", "long"] == pytest.approx(5, abs=0.1)
    assert rows["calibration error", "dense"] == pytest.approx(5, abs=0.1)
    assert rows["negative log-likelihood", "dense"] == pytest.approx(0.05, abs=0.001)


def test_flips_of_any_second_training_are_no_harm(judge: Judge) -> None:
    table = cells(Plan({"magnitude": none, "long": none}, extra=harms(0.05, 0.05)))
    table = table.drop(columns=["corrupted_error", "test_ece", "test_nll"])
    assert judge(8, table).verdict == UNRESOLVED
    alone = judge(8, table[table["method"] != "long"])
    assert alone.verdict == UNTESTED
    assert len(alone.evidence)


def test_cells_of_another_error_do_not_count(judge: Judge) -> None:
    found = judge(8, cells(Plan({"magnitude": shift(3)}, extra=harms(0.05, 0.0))))
    assert found.verdict == UNTESTED
    assert "no pruned cell has a test error within 0.5 points" in found.sentence


def test_with_few_seeds_cells_are_equal_one_by_one(judge: Judge) -> None:
    plan = Plan({"magnitude": none, "long": none}, seeds=1, extra=harms(0.05, 0.0))
    found = judge(8, cells(plan))
    assert found.verdict == UNRESOLVED
    assert "cell by cell" in found.sentence


HEIGHT = {0.5: 3.0, 0.75: -2.0, 0.875: 5.0, 0.9375: -6.0, 0.96875: 1.0, 0.984375: -3.0}


def predicting(sign: float) -> Plan:
    """Distance goes with the error; sharpness with the sparsity alone."""

    def error(regime: Regime, sparsity: float) -> float:
        return HEIGHT.get(sparsity, 0.0)

    def distance(regime: Regime, method: str, sparsity: float, seed: int) -> float:
        return sign * error(regime, sparsity) + np.random.default_rng(seed).normal()

    def sharpness(regime: Regime, method: str, sparsity: float, seed: int) -> float:
        return np.random.default_rng([seed, int(1e6 * sparsity)]).normal()

    return Plan(
        {"magnitude": error}, regimes=(CLEAN, NOISY), seeds=8, noise=0.5,
        extra={"distance": distance, "sharpness": sharpness},
    )  # fmt: skip


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_planted_predictor_is_found(judge: Judge, sign: float) -> None:
    table = cells(predicting(sign))
    found = judge(10, table)
    assert found.verdict == SHOWN
    assert "Not recorded or without change: instability at pruning" in found.sentence
    rows = found.evidence[found.evidence["scope"] == "all settings"].set_index(
        ["measure", "method"]
    )
    partial = rows.loc["partial rank correlation, given sparsity"]
    assert partial.loc["distance", "decision"] == ("higher" if sign < 0 else "lower")
    assert partial.loc["sharpness", "decision"] == "unresolved"
    expected = []
    for _, own in table[table["method"] == "magnitude"].groupby(["regime", "seed"]):
        expected.append(stats.spearmanr(own["distance"], -own["test_error"]).statistic)
    assert rows.loc[("rank correlation", "distance"), "value"] == pytest.approx(np.mean(expected))


def test_without_the_columns_nothing_is_predicted(judge: Judge) -> None:
    found = judge(10, cells(Plan({"magnitude": none}, seeds=2)))
    assert found.verdict == UNTESTED
    assert "instability, distance, sharpness are empty" in found.sentence
