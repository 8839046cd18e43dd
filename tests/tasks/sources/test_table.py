"""Tables of numbers to classify and to predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources.table import check, read

from ..conftest import MakeTask


def test_features_and_classes(tmp_path: Path, make_task: MakeTask) -> None:
    path = tmp_path / "a.csv"
    path.write_text("width,kind,height\n1,cat,2.5\n3,dog,-4e2\n")
    raw = read(make_task(source="table", path=str(path), target="kind"), tmp_path)
    assert raw.train.inputs.tolist() == [[1, 2.5], [3, -400]]
    assert raw.train.inputs.dtype == np.float32
    assert (raw.train.targets.tolist(), raw.names) == ([0, 1], ("cat", "dog"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_features_and_values(tmp_path: Path, make_task: MakeTask, suffix: str) -> None:
    for split, values in (("train", [0.5, 1.0]), ("valid", [2.0, 2.0]), ("test", [3.0, 4.0])):
        table = pa.table({"x": [1, 2], "target": values})
        if suffix == "parquet":
            pq.write_table(table, tmp_path / f"{split}.parquet")
        else:
            table.to_pandas().to_csv(tmp_path / f"{split}.csv", index=False)
    raw = read(make_task(source="table", path=str(tmp_path), kind="regression"), tmp_path)
    assert {name: split.targets.tolist() for name, split in raw.splits().items()} == {
        "train": [0.5, 1.0],
        "val": [2.0, 2.0],
        "test": [3.0, 4.0],
    }
    assert raw.train.targets.dtype == np.float32
    assert raw.train.inputs.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,target\n1,2\nnan,2\n", "line 3: x is nan, no finite number"),
        ("x,target\n1,2\n,2\n", "line 3: x is empty"),
        ("x,target\nred,2\n", "line 2: x is 'red', no number"),
        ("x,target\n1,red\n", "line 2: target is 'red', no number"),
        ("x,y\n1,2\n", "has no column 'target'; known: x, y"),
        ("target\n1\n", "has no column but 'target'"),
    ],
)
def test_broken_tables(tmp_path: Path, make_task: MakeTask, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(PrunebenchError, match=message) as caught:
        read(make_task(source="table", path=str(path), kind="regression"), tmp_path)
    assert str(caught.value).startswith(str(path))


def test_a_split_without_a_feature(tmp_path: Path, make_task: MakeTask) -> None:
    (tmp_path / "train.csv").write_text("x,z,target\n1,2,0\n1,3,1\n")
    (tmp_path / "test.csv").write_text("x,target\n1,0\n")
    with pytest.raises(PrunebenchError, match=r"test\.csv has no column 'z'"):
        read(make_task(source="table", path=str(tmp_path)), tmp_path)


def test_no_path(make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match="source 'table' needs path: a table"):
        check(make_task(source="table"))
