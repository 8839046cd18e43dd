"""The errors that cells count with, and under-trained baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from prunebench.errors import PrunebenchError
from prunebench.statistics import chance_errors, counted, score, under_trained
from prunebench.statistics.counted_cells import as_stopped
from prunebench.statistics.training_outcomes import exact_interval, trained_out


def test_no_baseline_is_an_error(small: pd.DataFrame) -> None:
    with pytest.raises(PrunebenchError, match="no cells of the baseline 'dense'"):
        score(small[small["method"] != "dense"])
    small.loc[small["method"] == "dense", ["status", "test_error"]] = ["diverged", np.nan]
    with pytest.raises(PrunebenchError, match="no seed has a finished baseline"):
        score(small)
    late = small.assign(status="ok", test_error=0.5, training_outcome="failed-to-train")
    with pytest.raises(PrunebenchError, match=r"nothing to compare with \(2 of 2 failed to train"):
        score(late)


@pytest.mark.parametrize("status", ["failed", "diverged", "collapsed"])
def test_failed_cells_have_no_error_whatever_number_stands_there(
    small: pd.DataFrame, status: str
) -> None:
    lost = (small["method"] == "a") & (small["sparsity"] == 0.9375)
    small.loc[lost, "status"] = status
    found = counted(small)
    assert found.loc[lost, ["test_error", "val_error", "choice_error"]].isna().all(axis=None)
    assert found["failed"].equals(lost.rename("failed"))
    assert found.loc[~lost, "test_error"].equals(small.loc[~lost, "test_error"])


def test_nothing_is_derived_where_no_outcome_was_recorded(small: pd.DataFrame) -> None:
    assert not counted(small)["failed"].any()
    assert not counted(small.assign(training_outcome=None))["failed"].any()
    late = small.assign(training_outcome="under-trained")
    assert not counted(late)["failed"].any()
    assert trained_out(small).all()
    assert not trained_out(late).any()


def test_chance_is_known_where_the_number_of_classes_is(small: pd.DataFrame) -> None:
    assert chance_errors(small).isna().all()
    assert set(chance_errors(small.assign(classes=10))) == {0.9}


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_interval_of_a_share_of_failures_is_that_of_scipy(failed: int, cells: int) -> None:
    failed = min(failed, cells)
    wanted = binomtest(failed, cells).proportion_ci(method="exact")
    assert exact_interval(failed, cells) == pytest.approx((wanted.low, wanted.high))
    assert np.isnan(exact_interval(0, 0)).all()


def test_stopped_states_take_the_place_of_the_last_ones(small: pd.DataFrame) -> None:
    cells = small.assign(
        stopped_test_error=0.1, stopped_val_error=0.2, noisy_val_error=0.5,
        stopped_noisy_val_error=0.4, training_outcome="trained-out",
    )  # fmt: skip
    cells.loc[0, "stopped_test_error"] = np.nan
    cells.loc[1, ["stopped_test_error", "training_outcome"]] = [np.nan, "stopped"]
    cells.loc[2, ["stopped_test_error", "status"]] = [np.nan, "failed"]
    found = as_stopped(cells)
    assert 0 not in found.index  # no stopped state
    assert found.loc[1, "test_error"] == cells.loc[1, "test_error"]  # is one itself
    assert counted(found).loc[2, "failed"]
    assert set(counted(found).loc[3:, "test_error"]) == {0.1}
    assert set(counted(found).loc[3:, "choice_error"]) == {0.4}
    assert set(counted(cells).loc[3:, "choice_error"]) == {0.5}
    assert as_stopped(small).empty


def test_a_lost_baseline_has_no_error_whatever_its_name(small: pd.DataFrame) -> None:
    """As a constant predictor it would make every method look good."""
    small["method"] = small["method"].replace("dense", "unpruned")
    lost = (small["method"] == "unpruned") & (small["seed"] == 1)
    small.loc[lost, ["status", "test_error"]] = ["diverged", np.nan]
    assert counted(small).loc[lost, "test_error"].isna().all()
    row = score(small, baseline="unpruned").set_index("method").loc["a"]
    assert row["score"] == pytest.approx(5 / 3)  # of seed 0 alone


def test_under_trained_baselines_mark_their_whole_curves(small: pd.DataFrame) -> None:
    assert not under_trained(small).any()
    small["memorized"] = 0.9
    small["train_error"] = np.where(small["seed"] == 1, 0.05, 0.0)
    assert set(small.loc[under_trained(small), "seed"]) == {1}
    assert under_trained(small).sum() == (small["seed"] == 1).sum()
    # clean labels: expected of what sees the same images again and again, not under augmentation
    plain = small.assign(memorized=np.nan, augmentation=pd.array([False] * len(small), "boolean"))
    assert set(plain.loc[under_trained(plain), "seed"]) == {1}
    assert not under_trained(plain.assign(augmentation=True)).any()
    assert not under_trained(plain.drop(columns="augmentation")).any()
    said = small.assign(train_error=0.0, message="under-trained: 12 % training error")
    assert under_trained(said).all()


@pytest.mark.parametrize("late", [(0,), (0, 1)])
def test_no_choice_falls_where_half_of_the_trainings_are_too_short(
    small: pd.DataFrame, late: tuple[int, ...]
) -> None:
    cells = small.assign(training_outcome="trained-out")
    assert score(cells).set_index("method").loc["a", "chosen"] == pytest.approx(-10)  # at 75 %
    short = (cells["method"] == "a") & (cells["sparsity"] == 0.75) & cells["seed"].isin(late)
    cells.loc[short, "training_outcome"] = "under-trained"
    found = score(cells).set_index("method").loc["a"]
    assert found["chosen"] == pytest.approx(-1)  # at 50 %: 0 and −2 points
    assert (found["best_sparsity"], found["under_trained"]) == (0.5, len(late))
    plain = score(small).set_index("method").loc["a"]
    assert (plain["score"], plain["under_trained"]) == (found["score"], 0)


def test_where_every_training_is_too_short_nothing_is_chosen(small: pd.DataFrame) -> None:
    cells = small.assign(
        training_outcome="under-trained", stopped_test_error=small["test_error"],
        stopped_val_error=small["val_error"],
    )  # fmt: skip
    found = score(cells).set_index("method")
    assert found.loc[["a", "random"], "chosen"].isna().all()
    assert found.loc["dense", "chosen"] == 0  # compared with itself
    # a state that stopping chose is no training too short
    assert found.loc["a", "stopped_chosen"] == pytest.approx(-10)
