"""What training to the end, failures and stopping do to the verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.statistics.hypotheses import (
    EQUIVALENT,
    OPPOSITE,
    SHOWN,
    UNRESOLVED,
    UNTESTED,
)
from prunebench.statistics.hypotheses.paired_cells import pair_cells
from tests.statistics.hypotheses.conftest import Judge
from tests.statistics.hypotheses.planted import CLEAN, NOISY, Plan, cells, none


def shifted(points: float, regimes: tuple = (CLEAN, NOISY)) -> pd.DataFrame:
    truths = {"magnitude": lambda regime, sparsity: points, "long": none}
    return cells(Plan(truths, regimes=regimes, seeds=8))


def stopped(table: pd.DataFrame, gain: float, dense: float = 0.2) -> pd.DataFrame:
    """With stopped states: dense errs in ``dense``, pruned by ``gain`` points less."""
    own = dense - gain / 100 * (table["method"] != "dense")
    wobble = 0.0005 * np.random.default_rng(0).normal(size=len(table))
    return table.assign(
        training_outcome="trained-out", stopped_test_error=own + wobble, stopped_val_error=own
    )


@pytest.mark.parametrize(("gain", "verdict"), [(3, SHOWN), (0, EQUIVALENT), (-3, OPPOSITE)])
def test_what_is_left_of_the_gain_when_both_are_stopped(
    judge: Judge, gain: float, verdict: str
) -> None:
    found = judge(11, stopped(shifted(-8), gain))
    assert found.verdict == verdict
    # the first clause alone, as the first table has it, says what came out
    first = found.sentence.partition(" (")[0]
    assert first.endswith(f"exceeds 0 for {int(gain > 0)} of 1 method")
    rows = found.evidence.set_index("measure")["value"]
    assert rows["gain, both trained to the end"] == pytest.approx(8, abs=0.2)
    assert rows["gain, both stopped on validation"] == pytest.approx(gain, abs=0.2)
    assert rows["gain trained minus gain stopped"] == pytest.approx(8 - gain, abs=0.3)


def test_without_stopped_states_nothing_is_said_of_them(judge: Judge) -> None:
    assert judge(11, shifted(-8)).verdict == UNTESTED


def test_clean_labels_are_judged_trained_and_stopped(judge: Judge) -> None:
    table = shifted(0)
    assert judge(1, table).verdict == EQUIVALENT
    assert judge(1, stopped(table, 0)).verdict == EQUIVALENT
    assert judge(1, stopped(table, 3)).verdict == UNRESOLVED
    assert judge(1, stopped(shifted(-3), 3)).verdict == OPPOSITE


def test_what_was_not_trained_out_leaves_with_its_pair_and_is_counted() -> None:
    table = stopped(shifted(-8, (NOISY,)), 0)
    late = (table["method"] == "magnitude") & (table["sparsity"] == 0.5) & (table["seed"] < 3)
    table.loc[late, "training_outcome"] = "under-trained"
    failed = (table["method"] == "dense") & (table["seed"] == 7)
    table.loc[failed, "training_outcome"] = "failed-to-train"
    found = pair_cells(table, Analysis())
    kept = found.rows[found.rows["method"] == "magnitude"]
    assert set(kept["seed"]) == set(range(7))
    assert (kept["sparsity"] == 0.5).sum() == 4
    # 6 sparsities of magnitude and the one cell of dense-long on the failed baseline
    assert found.why == "10 of 56 cells (7 baseline failed, 3 under-trained)"
    assert "Left out in pairs: 10 of 56 cells" in found.left_out_note()
    assert found.stopped is not None
    of_stopped = found.stopped.rows[found.stopped.rows["method"] == "magnitude"]
    assert (of_stopped["sparsity"] == 0.5).sum() == 7  # what is under-trained can be stopped


def test_a_control_that_stops_stays_a_control() -> None:
    table = stopped(cells(Plan({"magnitude": none, "stopped": none}, seeds=2)), 0)
    table.loc[table["method"] == "stopped", "training_outcome"] = "stopped"
    assert "stopped" in set(pair_cells(table, Analysis()).rows["method"])


def test_equal_epochs_need_a_dense_model_that_was_trained_as_long(judge: Judge) -> None:
    table = shifted(-8, (NOISY,)).assign(train_epochs=40.0)
    assert judge(4, table).verdict == SHOWN
    table.loc[table["method"] == "magnitude", "train_epochs"] = 400.0
    found = judge(4, table)
    assert found.verdict == UNTESTED
    assert "as many epochs" in found.sentence


@pytest.mark.parametrize(("samples", "verdict"), [(10_000_000, EQUIVALENT), (1000, UNRESOLVED)])
@pytest.mark.parametrize("number", [1, 11])
def test_equivalence_knows_the_error_of_the_test_samples(
    judge: Judge, number: int, samples: int, verdict: str
) -> None:
    # 20 % wrong each, of 1,000 samples: at most 1.96 · √(0.4 / 1000) = 3.9 points, beyond ±0.5
    table = stopped(shifted(0, (CLEAN,)), 0).assign(test_samples=samples)
    assert judge(number, table).verdict == verdict
