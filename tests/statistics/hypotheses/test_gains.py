"""Hypotheses on gains: with clean labels, against controls, as noise grows and data shrinks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.statistics.hypotheses import EQUIVALENT, OPPOSITE, SHOWN, UNRESOLVED, UNTESTED
from prunebench.statistics.hypotheses.controls import advantage
from prunebench.statistics.hypotheses.paired_cells import pair_cells
from tests.statistics.hypotheses.conftest import Judge
from tests.statistics.hypotheses.planted import (
    CLEAN,
    NOISY,
    SPARSITIES,
    Plan,
    Regime,
    Truth,
    cells,
    descent,
    none,
)


def shift(points: float, only_noisy: bool = False) -> Truth:
    """``points`` more error than dense, everywhere or with noisy labels alone."""
    return lambda regime, sparsity: points if regime.label_noise or not only_noisy else 0.0


BOTH = {"magnitude": none, "rewind": none}


def test_no_effect_with_clean_labels_is_equivalent(judge: Judge) -> None:
    found = judge(1, cells(Plan(BOTH)))
    assert found.verdict == EQUIVALENT
    main = found.evidence[found.evidence["measure"] == "gain"]
    assert (main["decision"] == "equivalent").all()
    assert "for both methods (1 setting, 10 seeds)" in found.sentence


@pytest.mark.parametrize("points", [-3.0, 3.0])
def test_one_method_outside_the_region_contradicts(judge: Judge, points: float) -> None:
    found = judge(1, cells(Plan({"magnitude": none, "rewind": shift(points)})))
    assert found.verdict == UNRESOLVED
    assert "for 1 of 2 methods" in found.sentence
    assert "contradicted by rewind" in found.sentence
    main = found.evidence[found.evidence["measure"] == "gain"].set_index("method")
    assert main.loc["rewind", "decision"] == ("higher" if points < 0 else "lower")
    assert main.loc["rewind", "value"] == pytest.approx(-points, abs=0.2)


def test_a_wide_interval_is_not_equivalent(judge: Judge) -> None:
    assert judge(1, cells(Plan(BOTH, seeds=3, noise=1.0))).verdict == UNRESOLVED
    assert judge(1, cells(Plan(BOTH, seeds=1))).verdict == UNRESOLVED


def test_the_region_is_the_declared_one(judge: Judge) -> None:
    table = cells(Plan({"magnitude": shift(-1.0)}))
    assert judge(1, table).verdict == OPPOSITE  # shown to lie outside
    assert judge(1, table, equivalence=2.0).verdict == EQUIVALENT


def test_settings_are_also_shown_by_themselves(judge: Judge) -> None:
    plan = Plan(BOTH, regimes=(CLEAN, Regime("few", train_samples=500)))
    scopes = set(judge(1, cells(plan)).evidence["scope"])
    assert scopes == {"clean labels", "t/clean/m", "t/few/m"}


@pytest.mark.parametrize(
    ("long", "verdict"), [(-20.0, OPPOSITE), (0.0, SHOWN), (-12.0, EQUIVALENT)]
)
def test_the_gain_against_training_as_long(judge: Judge, long: float, verdict: str) -> None:
    # the planted gain is 12 points
    table = cells(Plan({"rewind": descent, "long": shift(long, only_noisy=True)}))
    found = judge(4, table)
    assert found.verdict == verdict
    own = found.evidence[found.evidence["measure"] == "gain minus that of the control"]
    assert own.set_index("scope").loc["noisy labels", "value"] == pytest.approx(12 + long, abs=0.2)


def test_without_the_control_it_is_not_tested(judge: Judge) -> None:
    found = judge(4, cells(Plan({"rewind": descent})))
    assert found.verdict == UNTESTED
    assert "no control of the kind dense-long" in found.sentence


CONTROLS = {"stopped": shift(-5, True), "decayed": shift(-2, True), "narrow": shift(-1, True)}


def test_a_gain_above_all_three_is_shown(judge: Judge) -> None:
    found = judge(5, cells(Plan({"rewind": descent, **CONTROLS})))
    assert found.verdict == SHOWN
    rows = found.evidence[
        (found.evidence["scope"] == "noisy labels")
        & (found.evidence["measure"] == "gain minus that of the control")
    ].set_index("against")
    assert rows["value"].to_dict() == pytest.approx(
        {
            "early-stopping": 7, "tuned-weight-decay": 10, "small-dense": 11,
            "the best of them on validation": 7, "all of them": 7,
        },
        abs=0.3,
    )  # fmt: skip


def test_one_better_control_is_enough(judge: Judge) -> None:
    found = judge(5, cells(Plan({"rewind": descent, **CONTROLS, "stopped": shift(-15, True)})))
    assert found.verdict == OPPOSITE
    assert "exceeds every one of these controls for 0 of 1 method" in found.sentence


def test_two_controls_are_not_three(judge: Judge) -> None:
    truths = {"rewind": descent, **CONTROLS}
    del truths["decayed"]
    found = judge(5, cells(Plan(truths)))
    assert found.verdict == UNRESOLVED
    assert "since the records lack it: tuned-weight-decay" in found.sentence


def test_the_advantage_is_that_of_plain_loops() -> None:
    plan = Plan({"rewind": descent, **CONTROLS}, seeds=4, noise=1.0)
    table = pair_cells(cells(plan), Analysis())
    at = table.gains[table.gains["method"] == "rewind"].set_index(["regime", "seed"])["sparsity"]
    error = table.rows.set_index(["regime", "method", "seed", "sparsity"])["test_error"]
    narrow = table.rows[table.rows["method"] == "narrow"]
    means = narrow.groupby(["regime", "sparsity"])["val_error"].mean()
    for row in advantage(table, ("rewind",), ["narrow"]).itertuples():
        own = error[row.regime, "rewind", row.seed, at[row.regime, row.seed]]
        # each at its own best on validation
        other = error[row.regime, "narrow", row.seed, means[row.regime].idxmin()]
        assert row.value == pytest.approx(100 * (other - own))
        assert np.isnan(row.left_out)
    for row in advantage(table, ("rewind",), ["stopped"]).itertuples():
        s = at[row.regime, row.seed]
        pair = [
            error[row.regime, "stopped", row.seed, 0.0], error[row.regime, "rewind", row.seed, s]
        ]  # fmt: skip
        assert row.value == pytest.approx(100 * (pair[0] - pair[1]))


def test_the_best_control_is_chosen_on_validation_not_on_test() -> None:
    table = cells(Plan({"rewind": descent, **CONTROLS}, regimes=(NOISY,), seeds=3))
    lucky = table["method"] == "decayed"
    table.loc[lucky, "test_error"] = 0.0
    prepared = pair_cells(table, Analysis())
    best = advantage(prepared, ("rewind",), ["stopped", "decayed", "narrow"])
    stopped = advantage(prepared, ("rewind",), ["stopped"])
    pd.testing.assert_frame_equal(best, stopped)


def growing(regime: Regime, sparsity: float) -> float:
    """A gain of 2 points per 10 points of noise and of 3 per halving, at one sparsity."""
    if sparsity != SPARSITIES[2]:
        return 5.0
    return -20 * regime.label_noise - 3 * np.log2(1000 / regime.train_samples)


RATES = (CLEAN, Regime("noisy-20", 0.2), NOISY)
SIZES = (Regime("few", 0.4, 500), Regime("fewer", 0.4, 250), Regime("few-clean", 0.0, 500))


def test_planted_slopes_are_found(judge: Judge) -> None:
    found = judge(9, cells(Plan({"rewind": growing}, regimes=(*RATES, *SIZES))))
    assert found.verdict == SHOWN
    rows = found.evidence.set_index(["scope", "measure"])["value"]
    assert rows["noise rates", "gain per 10 percentage points of label noise"] == pytest.approx(
        2, abs=0.05
    )
    for scope in ("noisy labels", "clean labels"):
        assert rows[scope, "gain per halving of the training set"] == pytest.approx(3, abs=0.1)


def test_half_of_the_claim_does_not_show_it(judge: Judge) -> None:
    found = judge(9, cells(Plan({"rewind": growing}, regimes=RATES)))
    assert found.verdict == UNRESOLVED
    assert "The gain grows with the noise rate for 1 of 1 method" in found.sentence
    assert "Not tested with fewer training samples" in found.sentence


def test_a_gain_that_does_not_grow_is_not_shown(judge: Judge) -> None:
    found = judge(9, cells(Plan({"rewind": shift(-4)}, regimes=(*RATES, *SIZES), noise=0.5)))
    assert found.verdict == UNRESOLVED


def test_regimes_that_differ_in_more_are_not_compared(judge: Judge) -> None:
    plan = Plan({"rewind": growing}, regimes=(CLEAN, Regime("few-noisy", 0.4, 500)))
    assert judge(9, cells(plan)).verdict == UNTESTED
