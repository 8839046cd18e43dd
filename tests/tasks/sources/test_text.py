"""Texts with classes: tables of one's own, and SST-2 in both layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources import text
from prunebench.tasks.sources.text import check, read

from ..conftest import MakeTask


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder


def words(raw: Any, split: str = "train") -> list[str]:
    vocabulary = raw.facts["vocabulary"]
    rows = raw.splits()[split].inputs
    return [" ".join(vocabulary[token] for token in row if token) for row in rows]


def test_a_folder_of_tables(tmp_path: Path, make_task: MakeTask) -> None:
    write(
        tmp_path,
        train_csv="review,stars\n\"good, really\",two\nbad,one\n",
        test_csv="review,stars\nreally good film,two\n",
    )  # fmt: skip
    task = make_task(source="text", path=str(tmp_path), input="review", target="stars")
    raw = read(task, tmp_path)
    assert raw.names == ("one", "two")
    assert words(raw) == ["good, really", "bad"]
    assert words(raw, "test") == ["really <unk>"]  # cut to the longest of training
    assert {name: split.targets.tolist() for name, split in raw.splits().items()} == {
        "train": [1, 0],
        "test": [1],
    }


def test_one_table_of_characters(tmp_path: Path, make_task: MakeTask) -> None:
    path = write(tmp_path, a_tsv='text\tlabel\n"é"\t1\nab\t0\n') / "a.tsv"
    raw = read(make_task(source="text", path=str(path), tokens="characters", length=2), tmp_path)
    assert words(raw) == ['" é', "a b"]
    assert raw.names is None
    assert raw.test is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\tlabel\na\t1\n\t0\n", "a.tsv, line 3: text is empty"),
        ("text\tlabel\na\t\n", "a.tsv, line 2: label is empty"),
        ("sentence\tlabel\na\t1\n", "a.tsv has no column 'text'"),
        ("text\tclass\na\t1\n", "a.tsv has no column 'label'"),
    ],
)
def test_broken_tables(tmp_path: Path, make_task: MakeTask, content: str, message: str) -> None:
    path = write(tmp_path, a_tsv=content) / "a.tsv"
    with pytest.raises(PrunebenchError, match=message) as caught:
        read(make_task(source="text", path=str(path)), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_test_split_in_another_language(tmp_path: Path, make_task: MakeTask) -> None:
    write(tmp_path, train_csv="text,label\na b,0\nb a,1\n", test_csv="text,label\nx y,0\n")
    with pytest.raises(PrunebenchError, match="100 % of the test split's tokens are not in"):
        read(make_task(source="text", path=str(tmp_path)), tmp_path)


@pytest.fixture
def small_sst2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "DATASETS", {"SST-2": {"train": 2, "test": 1}})


@pytest.mark.usefixtures("small_sst2")
@pytest.mark.parametrize("layout", ["glue", "archive", "hub"])
def test_sst2_in_every_layout(tmp_path: Path, make_task: MakeTask, layout: str) -> None:
    rows = {"train": [("good fun ", 1), ("no fun ", 0)], "dev": [("good good ", 1)]}
    if layout == "hub":
        for split, name in (("train", "train"), ("dev", "validation")):
            sentences, labels = zip(*rows[split], strict=True)
            place = tmp_path / "data" / f"{name}-00000-of-00001.parquet"
            place.parent.mkdir(exist_ok=True)
            pq.write_table(pa.table({"sentence": sentences, "label": labels}), place)
        # the hub has test sentences, too, all of the class -1
        table = pa.table({"sentence": ["x"], "label": [-1]})
        pq.write_table(table, tmp_path / "data" / "test-00000-of-00001.parquet")
    else:
        content = {
            f"{split}_tsv": "sentence\tlabel\n" + "".join(f"{s}\t{c}\n" for s, c in pairs)
            for split, pairs in rows.items()
        }
        unlabelled = "index\tsentence\n0\tx\n"
        write(tmp_path / ("SST-2" if layout == "archive" else "."), **content, test_tsv=unlabelled)
    raw = read(make_task(source="text", dataset="SST-2", path=str(tmp_path)), tmp_path)
    assert raw.names == ("negative", "positive")
    assert words(raw) == ["good fun", "no fun"]
    assert words(raw, "test") == ["good good"]
    assert raw.val is None
    assert raw.train.targets.tolist() == [1, 0]


@pytest.mark.usefixtures("small_sst2")
def test_an_incomplete_sst2(tmp_path: Path, make_task: MakeTask) -> None:
    task = make_task(source="text", dataset="SST-2", path=str(tmp_path))
    write(tmp_path, train_tsv="sentence\tlabel\ngood\t1\n")
    with pytest.raises(PrunebenchError, match=r"holds no dev\.tsv, nor validation-\*\.parquet"):
        read(task, tmp_path)
    write(tmp_path, dev_tsv="sentence\tlabel\ngood\t1\n")
    with pytest.raises(PrunebenchError, match=r"train\.tsv has 1 rows in a split of 2: delete it"):
        read(task, tmp_path)


def test_unknown_data_sets_and_no_path(make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'SST2'; did you mean 'SST-2'"):
        check(make_task(source="text", dataset="SST2"))
    with pytest.raises(PrunebenchError, match="source 'text' needs path: a table"):
        check(make_task(source="text"))


def test_the_real_one(make_task: MakeTask, shared_data: Path) -> None:
    task = make_task(
        source="text", dataset="SST-2", path=str(shared_data / "sst2"), vocabulary=10_000, length=32
    )
    raw = read(task, shared_data)
    assert raw.test is not None
    assert raw.train.inputs.shape == (67_349, 32)
    assert np.bincount(raw.train.targets).tolist() == [29_780, 37_569]
    assert np.bincount(raw.test.targets).tolist() == [428, 444]
    assert len(raw.facts["vocabulary"]) == 10_000
    assert words(raw)[0] == "hide new <unk> from the parental <unk>"  # of the 10,000 commonest
