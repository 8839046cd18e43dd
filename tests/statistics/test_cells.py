from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.statistics import chance_errors, counted, read_cells, score, under_trained
from prunebench.storage.records import COLUMNS, COST, QUALITY, SIZE


def write(path: Path, cells: pd.DataFrame) -> Path:
    cells.to_csv(path / "cells.csv", index=False)
    return path / "cells.csv"


def test_a_table_comes_back_with_every_column_and_type(tmp_path: Path, small: pd.DataFrame) -> None:
    small["mine"] = "x"
    cells = read_cells(write(tmp_path, small))
    assert [*cells.columns] == [*COLUMNS, "mine"]
    assert cells["seed"].dtype == "int64"
    assert cells["macs_kept"].isna().all()
    pd.testing.assert_frame_equal(
        cells[small.columns].drop(columns="message"),
        small.drop(columns="message"),
        check_dtype=False,
    )


def test_flags_and_the_numbers_of_regimes_are_read(tmp_path: Path, small: pd.DataFrame) -> None:
    small["control"] = np.where(small["method"] == "random", "True", "False")
    small["augmentation"] = ["true", "0", *[""] * (len(small) - 2)]
    numbers = ("label_noise", "train_samples", "width", "test_overconfidence", "sharpness")
    cells = read_cells(write(tmp_path, small.assign(**dict.fromkeys(numbers, 0.5))))
    for column in ("control", "augmentation"):
        assert cells[column].dtype == "boolean"
    assert [*cells.loc[cells["control"], "method"].unique()] == ["random"]
    assert cells["augmentation"].tolist()[:2] == [True, False]
    assert cells["augmentation"].isna().sum() == len(small) - 2  # missing is not False
    assert (cells[[*numbers]] == 0.5).all(axis=None)
    every = [*SIZE, *QUALITY, *COST]
    assert (read_cells(tmp_path / "cells.csv")[every].dtypes == "float64").all()


def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path, small: pd.DataFrame) -> None:
    small.to_csv(tmp_path / "cells.csv", index=False, encoding="utf-8-sig")
    assert read_cells(tmp_path / "cells.csv")["experiment"].eq("e").all()


def test_names_that_look_like_missing_values_stay_names(
    tmp_path: Path, small: pd.DataFrame
) -> None:
    cells = read_cells(write(tmp_path, small.replace({"method": {"a": "none", "random": "NA"}})))
    assert set(cells["method"]) == {"dense", "none", "NA"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.drop(columns="regime"), "lacks the column.*regime"),
        (lambda t: t.rename(columns={"test_error": "test_eror"}), "did you mean 'test_eror'"),
        (lambda t: t.head(0), "no rows"),
        (lambda t: pd.concat([t, t.tail(1)]), "seed 1 sparsity 0.9375 is there more than once"),
        (lambda t: t.assign(test_error=t["test_error"] * 100), r"fraction in \[0,1\], found 30"),
        (lambda t: t.assign(sparsity=t["sparsity"] * 100), "percentage, or a compression"),
        (lambda t: t.assign(status="OK"), "unknown status 'OK'.*did you mean|unknown status"),
        (lambda t: t.assign(seed="first"), "seed must be a number, row 2 has 'first'"),
        (lambda t: t.assign(seed=0.5), "whole number"),
        (lambda t: t.assign(control="maybe"), "control must be True or False, row 2 has 'maybe'"),
        (lambda t: t.assign(recovered=9), r"recovered must be a fraction in \[0,1\], found 9"),
        (lambda t: t.assign(test_error=np.nan), "is ok but has no test_error"),
        (lambda t: t.assign(task=[None, *["t"] * (len(t) - 1)]), "task is empty in 1 rows"),
        (lambda t: t.assign(family=[*map(str, range(len(t)))]), "two families"),
        (lambda t: t.assign(experiment=[*map(str, range(len(t)))]), "several experiments"),
        (
            lambda t: t[t["method"] == "a"].assign(method="dense"),
            "the dense baseline has sparsity 0",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(
    tmp_path: Path, small: pd.DataFrame, change: Callable, says: str
) -> None:
    with pytest.raises(PrunebenchError, match=says):
        read_cells(write(tmp_path, change(small)))


def test_no_file_no_table(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="run the grid first"):
        read_cells(tmp_path / "cells.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(PrunebenchError, match="is no table"):
        read_cells(tmp_path / "empty.csv")


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
