from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.statistics import read_cells, read_table, score
from prunebench.storage.records import COLUMNS

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
    assert row["failed"] == 1  # counted as chance, not left out
    assert row["score"] > 20


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
def test_what_cannot_be_right_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(PrunebenchError, match=says):
        read_table(saved(tmp_path, PUBLISHED.replace(old, new, 1)))


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"published\.csv is not there$"):
        read_table(tmp_path / "published.csv")
    with pytest.raises(PrunebenchError, match="no rows"):
        read_table(saved(tmp_path, "method,sparsity,test_error\n"))
