"""The errors that cells count with, and under-trained baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.statistics import chance_errors, counted, score, under_trained


def test_no_baseline_is_an_error(small: pd.DataFrame) -> None:
    with pytest.raises(PrunebenchError, match="no cells of the baseline 'dense'"):
        score(small[small["method"] != "dense"])
    small.loc[small["method"] == "dense", ["status", "test_error"]] = ["diverged", np.nan]
    with pytest.raises(PrunebenchError, match="no seed has a finished baseline"):
        score(small)


def test_lost_cells_count_as_a_constant_predictor(small: pd.DataFrame) -> None:
    lost = (small["method"] == "a") & (small["sparsity"] == 0.9375)
    small.loc[lost, ["status", "test_error", "val_error"]] = ["failed", np.nan, np.nan]
    assert set(chance_errors(small)) == {0.5}  # nothing worse was measured: two classes
    assert (counted(small).loc[lost, ["test_error", "val_error"]] == 0.5).all(axis=None)
    small["classes"] = 10
    assert (counted(small).loc[lost, "test_error"] == 0.9).all()
    # without the number of classes a lost cell is as bad as the worst that was measured
    small = small.drop(columns="classes")
    small.loc[small["method"] == "random", "test_error"] = 0.8
    assert (counted(small).loc[lost, "test_error"] == 0.8).all()


def test_a_collapsed_cell_that_was_measured_keeps_its_error(small: pd.DataFrame) -> None:
    small.loc[small["method"] == "a", "status"] = "collapsed"
    pd.testing.assert_frame_equal(counted(small), small)
    small.loc[small["method"] == "a", "status"] = "diverged"  # a number there means nothing
    assert (counted(small).loc[small["method"] == "a", "test_error"] == 0.5).all()


def test_a_lost_baseline_has_no_error_whatever_its_name(small: pd.DataFrame) -> None:
    """As a constant predictor it would make every method look good."""
    small["method"] = small["method"].replace("dense", "unpruned")
    lost = (small["method"] == "unpruned") & (small["seed"] == 1)
    small.loc[lost, ["status", "test_error"]] = ["diverged", np.nan]
    assert counted(small, "unpruned").loc[lost, "test_error"].isna().all()
    row = score(small, baseline="unpruned").set_index("method").loc["a"]
    assert row["score"] == pytest.approx(5 / 3)  # of seed 0 alone
    # a pruned one is a result like any other
    small.loc[small["method"] == "random", ["status", "test_error"]] = ["diverged", np.nan]
    errors = counted(small, "random").loc[small["method"] == "random", "test_error"]
    assert (errors == 0.5).all()


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
