"""Tables of cells, one's own and of others: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.statistics import check_cells, read_cells, read_table, score
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
        # of two columns the one further left is told, and of it the first row
        (
            lambda t: t.assign(sparsity=["0.5", "x", *["y"] * (len(t) - 2)], macs_kept="1_0"),
            "sparsity must be a number, row 3 has 'x'",
        ),
        (lambda t: t.assign(macs_kept="1_0"), "macs_kept must be a number, row 2 has '1_0'"),
        (lambda t: t.assign(**{"x\x1b": 1, r"x\x1b": 2}), "two columns are shown as"),
        (lambda t: t.assign(seed=0.5), "whole number"),
        (lambda t: t.assign(control="maybe"), "control must be True or False, row 2 has 'maybe'"),
        (lambda t: t.assign(recovered=9), r"recovered must be a fraction in \[0,1\], found 9"),
        (lambda t: t.assign(test_error=np.nan), "is ok but has no test_error"),
        (lambda t: t.assign(task=[None, *["t"] * (len(t) - 1)]), "task is empty in 1 rows"),
        (lambda t: t.assign(family=[*map(str, range(len(t)))]), "two families"),
        (lambda t: t.assign(experiment=[*map(str, range(len(t)))]), "several experiments"),
        (
            lambda t: t.assign(kind=["classification", *["recommendation"] * (len(t) - 1)]),
            r"tasks of 2 kinds \(classification, recommendation\)",
        ),
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


PUBLISHED = """method,sparsity,test_error,venue
dense,0,0.05,
LAMP,0.5,0.049,ICLR
LAMP,0.9,0.06,ICLR
random,0.5,0.06,
random,0.9,,
"""


def saved(folder: Path, text: str) -> Path:
    (folder / "published.csv").write_text(text)
    return folder / "published.csv"


def test_a_published_table_is_filled_and_says_with_what(tmp_path: Path) -> None:
    cells, notes = read_table(saved(tmp_path, PUBLISHED))
    assert [*cells.columns] == [*COLUMNS, "venue"]
    assert (cells["experiment"] == "published").all()
    assert cells["family"].tolist() == ["dense", *["unknown"] * 4]
    assert cells["status"].tolist() == ["ok"] * 4 + ["failed"]
    assert (cells["seed"] == 0).all()
    assert [note.split(":")[0].removeprefix("no column ") for note in notes] == [
        "experiment", "task", "regime", "model", "family", "seed", "status",
    ]  # fmt: skip
    row = score(cells).set_index("method").loc["random"]
    assert row["failed"] == 1  # counted, and no part of the mean: a point at 0.5 is left
    assert row["score"] == pytest.approx(1.0)


def test_what_is_there_stays_and_is_not_noted(tmp_path: Path, small: pd.DataFrame) -> None:
    path = tmp_path / "cells.csv"
    small.to_csv(path, index=False)
    cells, notes = read_table(path)
    assert notes == []
    pd.testing.assert_frame_equal(cells, read_cells(path))
    small.drop(columns=["regime", "family"]).to_csv(path, index=False)
    cells, notes = read_table(path)
    assert len(notes) == 2
    assert (cells["test_error"] == small["test_error"]).all()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("test_error", "test_eror", "lacks the column.*test_error; did you mean 'test_eror'"),
        ("0.05,", "95 %,", "test_error must be a number, row 2 has '95 %'"),
        ("0.049", "4.9", "divide percentages by 100"),
        ("LAMP,0.9", "LAMP,0.5", "LAMP seed 0 sparsity 0.5 is there more than once"),
        ("LAMP,0.9", "LAMP,10", "is it a percentage, or a compression ratio"),
    ],
)
def test_what_cannot_be_right_in_a_table_of_others_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(PrunebenchError, match=says):
        read_table(saved(tmp_path, PUBLISHED.replace(old, new, 1)))


def test_no_table_of_others(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"published\.csv is not there$"):
        read_table(tmp_path / "published.csv")
    with pytest.raises(PrunebenchError, match="no rows"):
        read_table(saved(tmp_path, "method,sparsity,test_error\n"))


def test_a_table_whose_regime_is_called_as_all_of_them_is_refused(small: pd.DataFrame) -> None:
    check_cells(small.assign(regime="all"))  # the only one: all is the same
    mixed = pd.concat([small.assign(regime="all"), small.assign(regime="other")])
    with pytest.raises(PrunebenchError, match=r"a regime is called 'all', as the results of all"):
        check_cells(mixed)
