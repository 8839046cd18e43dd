"""Tables are read in the form they came in, and what cannot be read is refused in one line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.published import foreign_bytes
from prunebench.published.foreign_table import read_foreign_table, sha256_of

TEXT = "method,size,accuracy\nSynFlow,0.5,95\nGraSP,0.5,94.5\n"
ROWS = [(2, ["SynFlow", "0.5", "95"]), (3, ["GraSP", "0.5", "94.5"])]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_by_its_content_whatever_its_name(tmp_path: Path, pack) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "theirs.csv"
    path.write_bytes(pack(TEXT.encode()))
    assert read_foreign_table(path).rows == ROWS
    path.write_bytes(pack(TEXT.encode())[:-9])
    with pytest.raises(PrunebenchError, match="cannot be unpacked"):
        read_foreign_table(path)


def test_zip_holds_one_table(tmp_path: Path) -> None:
    path = tmp_path / "theirs.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("results/theirs.csv", TEXT)
        packed.writestr("__MACOSX/._theirs.csv", "x")
    assert read_foreign_table(path).rows == ROWS
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("other.csv", TEXT)
    with pytest.raises(PrunebenchError, match=r"must hold one table; it holds .*other.csv"):
        read_foreign_table(path)


def test_few_bytes_that_unpack_to_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_bytes, "LARGEST", 2**20)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(bytes(2**20 + 1)))
    assert path.stat().st_size < 2**11
    with pytest.raises(PrunebenchError, match="larger than 1 MiB"):
        read_foreign_table(path)


def test_parquet_with_an_index_a_gap_and_a_list(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    frame = pd.DataFrame(
        {"method": ["a", None], "accuracy": [0.95, float("nan")], "iterative": [True, False],
         "trial": [1, 2], "curve": [[1, 2], [3]]},
        index=[7, 3],
    )  # fmt: skip
    frame.to_parquet(path)
    table = read_foreign_table(path)
    assert table.header == ["method", "accuracy", "iterative", "trial"]
    assert table.rows == [(2, ["a", "0.95", "True", "1"]), (3, ["", "", "False", "2"])]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PrunebenchError, match="is no Parquet file that can be read"):
        read_foreign_table(path)


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_other_separators(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(TEXT.replace(",", sign))
    assert read_foreign_table(path).rows == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "shift_jis"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path, name = tmp_path / "theirs.csv", "論文" if encoding == "shift_jis" else "Müller"
    path.write_bytes(TEXT.replace("SynFlow", name).encode(encoding))
    assert read_foreign_table(path, encoding).rows[0][1][0] == name
    with pytest.raises(PrunebenchError, match=r"say --encoding|zero byte"):
        read_foreign_table(path)


def test_utf_16_with_its_mark_needs_no_word_and_an_unknown_encoding_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "theirs.csv"
    path.write_bytes(TEXT.encode("utf-16"))
    assert read_foreign_table(path).rows == ROWS
    for encoding, says in (
        ("klingon", "knows no such"),
        ("rot13", "encoding"),
        ("hex", "HEX|texts"),
    ):
        with pytest.raises(PrunebenchError, match=says) as caught:
            read_foreign_table(path, encoding)
        assert "\n" not in str(caught.value)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pkl"
    path.write_bytes(pickle.dumps(pd.DataFrame({"a": [1]})))
    with pytest.raises(PrunebenchError, match=r"is a pickle.*to_parquet"):
        read_foreign_table(path)


@pytest.fixture
def lottery(tmp_path: Path) -> Path:
    """What open_lth leaves: two replicates of two levels, of which the last is not trained."""
    root = tmp_path / "lottery_0123"
    for replicate in (1, 2):
        for level, unpruned in enumerate((100.0, 80.0)):
            run = root / f"replicate_{replicate}" / f"level_{level}" / "main"
            run.mkdir(parents=True)
            report = {"total": 100.0, "unpruned": unpruned}
            (run / "sparsity_report.json").write_text(json.dumps(report))
            if (replicate, level) != (2, 1):
                (run / "logger").write_text(
                    "test_loss,0,2.3\ntest_accuracy,0,0.1\ntest_examples,0,10000\n"
                    f"test_accuracy,9,0.{90 + replicate - level}\ntest_accuracy,4,0.5"
                )
        zero = root / f"replicate_{replicate}" / "level_0" / "main"
        (zero / "hparams.log").write_text(
            "Dataset Hyperparameters\n    * dataset_name => cifar10\n"
            "Model Hyperparameters\n    * model_name => cifar_resnet_20\n"
            "Pruning Hyperparameters\n    * pruning_strategy => sparse_global\n"
        )
    return root


def test_a_folder_of_open_lth(lottery: Path) -> None:
    table = read_foreign_table(lottery)
    assert table.notes == ("1 levels have no test accuracy",)
    rows = [table.named(row) for row in table.rows]
    found = [(r["replicate"], r["density"], r["test_accuracy"], r["model_name"]) for r in rows]
    assert found == [
        ("replicate_1", "1.0", "0.91", "cifar_resnet_20"),
        ("replicate_1", "0.8", "0.90", "cifar_resnet_20"),
        ("replicate_2", "1.0", "0.92", "cifar_resnet_20"),
    ]
    before = sha256_of(lottery)
    (lottery / "replicate_1/level_0/main/logger").write_text("test_accuracy,9,0.5")
    assert sha256_of(lottery) != before
    (lottery / "replicate_1/level_0/main/logger").write_text("test_accuracy;9;0.5")
    with pytest.raises(PrunebenchError, match="logger line 1 is no name,iteration,value"):
        read_foreign_table(lottery)
