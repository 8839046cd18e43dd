"""Tables of text files and Parquet, whole and broken."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.tasks import raw
from prunebench.tasks.tables import (
    classes,
    numbers,
    read_table,
    read_tables,
    read_text,
    split_files,
    texts,
)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, *columns: Any) -> str:
    def read_all() -> None:
        table = read_table(path)
        for read, name in columns:
            read(table, name)

    with pytest.raises(PrunebenchError) as caught:
        read_all()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_csv_has_quotes_and_tsv_has_none(tmp_path: Path) -> None:
    comma = read_table(write(tmp_path / "a.csv", 'x,y\n"a, ""b""\nc",1\n\nd,2\n'))
    assert comma.columns == {"x": ('a, "b"\nc', "d"), "y": ("1", "2")}
    assert [comma.where(row)[-6:] for row in range(2)] == ["line 3", "line 5"]
    tab = read_table(write(tmp_path / "a.tsv", '\ufeffx\ty\r\n"a\t1\r\nb"\t2\r\n'))
    assert tab.columns == {"x": ('"a', 'b"'), "y": ("1", "2")}


def test_the_three_formats_say_the_same(tmp_path: Path) -> None:
    table = pa.table({"x": ["a", "b"], "y": [1.5, 2.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    write(tmp_path / "a.csv", "x,y\na,1.5\nb,2\n")
    write(tmp_path / "a.tsv", "x\ty\na\t1.5\nb\t2\n")
    for suffix in ("parquet", "csv", "tsv"):
        read = read_table(tmp_path / f"a.{suffix}")
        assert texts(read, "x") == ["a", "b"]
        assert numbers(read, "y").tolist() == [1.5, 2.0]


def test_splits_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("train-00001.csv", "train-00000.csv", "dev.csv", "test.csv", "notes.csv"):
        write(tmp_path / "data" / name, f"x\n{name}\n")
    found = split_files(tmp_path)
    assert {split: [file.name for file in files] for split, files in found.items()} == {
        "train": ["train-00000.csv", "train-00001.csv"],
        "val": ["dev.csv"],
        "test": ["test.csv"],
    }
    assert read_tables(found["train"]).columns["x"] == ["train-00000.csv", "train-00001.csv"]
    alone = tmp_path / "data" / "notes.csv"
    assert split_files(alone) == {"train": [alone]}


def test_a_folder_without_training(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"holds no train\.csv or train\.tsv or train\.par"):
        split_files(tmp_path)


def test_shards_of_other_columns(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.csv", "x\n1\n"), write(tmp_path / "b.csv", "y\n1\n")]
    with pytest.raises(PrunebenchError, match=r"b\.csv has columns y, and .*a\.csv x"):
        read_tables(files)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n3\n", "a.csv, line 3: 1 columns, the header has 2"),
        ('x,y\n1,2\n"3,4\n', "a.csv, line 3: unexpected end of data"),
        ("x,x\n1,2\n", "a.csv, line 1: two columns are named 'x'"),
        ("x,y\n", "a.csv has no row below its header"),
        ("", "a.csv has no row below its header"),
        ("x\ngrün\n".encode("latin-1"), "a.csv, line 2: byte 0xfc is not UTF-8"),
        ("x\na\n".encode("utf-16"), "a.csv, line 1: byte 0xff is not UTF-8"),
        (b"x\n\0\n", "a.csv, line 2: a zero byte"),
        ("x\n" + "a" * 200_000 + "\n", "a.csv, line 2: field larger than field limit"),
    ],
)
def test_broken_text(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert f"{tmp_path}/{message}" in refusal(write(tmp_path / "a.csv", content))


def test_other_files(tmp_path: Path) -> None:
    assert "a table is a file .csv, .tsv, .parquet" in refusal(write(tmp_path / "a.xls", "x"))
    assert "cannot be read" in refusal(tmp_path / "nothing.csv")
    assert "is no readable Parquet file" in refusal(write(tmp_path / "a.parquet", b"PAR1"))
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), tmp_path / "b.parquet")
    assert "has no row" in refusal(tmp_path / "b.parquet")


def test_a_file_that_claims_to_be_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # one text, said to be there a million times
    count = 1_000_000
    same = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array(["a" * 1000]))
    pq.write_table(pa.table({"x": same}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    monkeypatch.setattr(raw, "memory", lambda: 2**26)
    assert "a.parquet: decoded and prepared, this would take" in refusal(tmp_path / "a.parquet")
    monkeypatch.setattr(raw, "memory", lambda: 5)
    with pytest.raises(PrunebenchError, match="this would take"):
        read_text(write(tmp_path / "a.txt", "abc"))


def test_a_missing_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "sentence,label\na,1\n")
    assert "has no column 'sentance'; did you mean 'sentence'?" in refusal(
        path, (texts, "sentance")
    )


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "y is empty"),
        ("nan", "y is nan, no finite number"),
        ("inf", "y is inf, no finite number"),
        ("1e60", "y is 1e60, no finite number"),  # no float32
        ("abc", "y is 'abc', no number"),
        ("1,5", "3 columns, the header has 2"),
    ],
)
def test_what_is_no_number(tmp_path: Path, cell: str, message: str) -> None:
    path = write(tmp_path / "a.csv", f"x,y\n1,2\n1,{cell}\n")
    assert refusal(path, (numbers, "y")).endswith(f"a.csv, line 3: {message}")


def test_parquet_names_rows_from_0(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": ["a", None, " "], "y": [1.0, 2.0, float("nan")]}), path)
    assert refusal(path, (texts, "x")) == f"{path}, row 1: x is None, no text"
    assert refusal(path, (numbers, "y")) == f"{path}, row 2: y is nan, no finite number"


def test_an_empty_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "x\ty\na\t1\n  \t2\n")
    assert refusal(path, (texts, "x")) == f"{path}, line 3: x is empty"


def test_numbers_of_classes_and_texts_of_classes(tmp_path: Path) -> None:
    train = read_table(write(tmp_path / "train.csv", "a,b\n1,dog\n0,cat\n"))
    test = read_table(write(tmp_path / "test.csv", "a,b\n0,dog\n"))
    numbered, names = classes({"train": train, "test": test}, "a")
    assert ([column.tolist() for column in numbered.values()], names) == ([[1, 0], [0]], None)
    named, names = classes({"train": train, "test": test}, "b")
    assert ([column.tolist() for column in named.values()], names) == (
        [[1, 0], [1]],
        ("cat", "dog"),
    )


def test_names_that_the_datasets_library_stored(tmp_path: Path) -> None:
    features = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}, "x": {"_type": "V"}}
    stored = json.dumps({"info": {"features": features}})
    table = pa.table({"label": [0, 1]}).replace_schema_metadata({"huggingface": stored})
    pq.write_table(table, tmp_path / "a.parquet")
    assert classes({"train": read_table(tmp_path / "a.parquet")}, "label")[1] == ("bad", "good")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "line 2: b is empty"),
        ("cow", "b is 'cow', a class that training does not show; known: cat, dog"),
    ],
)
def test_unknown_classes(tmp_path: Path, cell: str, message: str) -> None:
    train = read_table(write(tmp_path / "train.csv", "a,b\n1,dog\n0,cat\n"))
    test = read_table(write(tmp_path / "test.csv", f"a,b\n0,{cell}\n"))
    with pytest.raises(PrunebenchError, match=message):
        classes({"train": train, "test": test}, "b")


@pytest.mark.parametrize("cell", ["nan", "NaN", "null", " None", "N/A", "?"])
def test_no_value_is_no_class_among_numbers(tmp_path: Path, cell: str) -> None:
    train = read_table(write(tmp_path / "train.csv", f"a,b\n1,0\n2,{cell}\n3,1\n"))
    with pytest.raises(
        PrunebenchError, match=r"train\.csv, line 3: b is '.+', among whole numbers"
    ):
        classes({"train": train}, "b")
    words = read_table(write(tmp_path / "words.csv", f"a,b\n1,min\n2,{cell}\n3,yue\n"))
    assert cell in (classes({"train": words}, "b")[1] or ())  # such as the language "nan"


def test_a_class_is_no_fraction(tmp_path: Path) -> None:
    pq.write_table(pa.table({"y": [0.0, 0.5]}), tmp_path / "a.parquet")
    with pytest.raises(PrunebenchError, match=r"row 0: y is 0\.0; a class is a whole number"):
        classes({"train": read_table(tmp_path / "a.parquet")}, "y")


@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv"]))
def test_whatever_the_bytes_are_they_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = write(tmp_path_factory.getbasetemp() / f"any{suffix}", content)
    try:
        table = read_table(path)
    except PrunebenchError:
        return
    assert len({len(column) for column in table.columns.values()}) == 1


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_a_damaged_parquet_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, patch: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    pq.write_table(pa.table({"x": ["a", "b"] * 40, "y": list(range(80))}), path)
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place : place + len(patch)] = patch
    path.write_bytes(content)
    with suppress(PrunebenchError):
        read_table(path)


@pytest.mark.parametrize("kind", [pa.date32(), pa.duration("s")])
def test_a_parquet_day_beyond_all_years(tmp_path: Path, kind: Any) -> None:
    """Arrow stores it, and Python has no such day."""
    most = 2**31 - 1 if kind == pa.date32() else 2**62
    pq.write_table(pa.table({"x": pa.array([most], kind)}), tmp_path / "a.parquet")
    with pytest.raises(PrunebenchError, match=r"a\.parquet is no readable Parquet file"):
        read_table(tmp_path / "a.parquet")


def test_a_parquet_text_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array([b"gr\xfcn"]).view(pa.string())
    pq.write_table(pa.table({"x": column}), path)
    assert "a.parquet is no readable Parquet file: 'utf-8' codec" in refusal(path, (texts, "x"))
