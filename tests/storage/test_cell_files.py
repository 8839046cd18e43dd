"""Cells on disk: whole, or as if they were not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.storage import cell_files
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.layout import MASKS, RECORD, WEIGHTS
from prunebench.storage.records import DIVERGED, FAILED, OK

IDENTITY = "i" * 64


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    cell_files.save_tensors(tmp_path / WEIGHTS, {"a": torch.arange(6.0).reshape(2, 3).T})
    cell_files.save_tensors(tmp_path / MASKS, {"a": torch.ones(2, dtype=torch.uint8)})
    cell_files.finish(tmp_path, {"identity": IDENTITY, "status": OK, "x": 1}, [WEIGHTS, MASKS])
    return tmp_path


def rewrite(cell: Path, **changes: Any) -> None:
    write_sealed(cell / RECORD, {**read_sealed(cell / RECORD), **changes})


def test_a_whole_cell_is_found(cell: Path) -> None:
    record = cell_files.finished(cell, IDENTITY)
    assert record is not None
    assert (record["x"], set(record["files"])) == (1, {WEIGHTS, MASKS})
    rewrite(cell, status=DIVERGED)  # a result, like any other
    assert cell_files.finished(cell, IDENTITY) is not None


def test_tensors_come_back(cell: Path) -> None:
    found = cell_files.load_tensors(cell / WEIGHTS)
    assert torch.equal(found["a"], torch.arange(6.0).reshape(2, 3).T)
    assert cell_files.load_tensors(cell / MASKS)["a"].dtype == torch.uint8


def test_a_cell_of_other_settings_or_that_failed_is_not_finished(cell: Path) -> None:
    assert cell_files.finished(cell, "j" * 64) is None
    rewrite(cell, status=FAILED)
    assert cell_files.finished(cell, IDENTITY) is None


@pytest.mark.parametrize("name", [WEIGHTS, MASKS])
def test_a_truncated_altered_or_missing_file_is_noticed(cell: Path, name: str) -> None:
    content = (cell / name).read_bytes()
    altered = content[:-1] + bytes([content[-1] ^ 1])
    for damaged in (content[:-1], altered, content + b"\0", b""):
        (cell / name).write_bytes(damaged)
        assert cell_files.finished(cell, IDENTITY) is None
    (cell / name).unlink()
    assert cell_files.finished(cell, IDENTITY) is None
    (cell / name).write_bytes(content)
    assert cell_files.finished(cell, IDENTITY) is not None


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '"x"', "{}", '{"identity": "ID"}', "\ud800",
     '{"identity": "ID", "status": "ok"}',
     '{"identity": "ID", "status": "ok", "files": null}',
     '{"identity": "ID", "status": "ok", "files": []}',
     '{"identity": "ID", "status": "ok", "files": {"x": 1}}',
     '{"identity": "ID", "status": "ok", "files": {"weights.safetensors": null}}'],
)  # fmt: skip
def test_a_damaged_record_is_no_record(cell: Path, text: str) -> None:
    (cell / RECORD).write_bytes(text.replace("ID", IDENTITY).encode(errors="surrogatepass"))
    assert cell_files.finished(cell, IDENTITY) is None


def test_without_a_record_there_is_no_cell(cell: Path) -> None:
    (cell / RECORD).unlink()
    assert cell_files.finished(cell, IDENTITY) is None
    assert cell_files.finished(cell / "none", IDENTITY) is None


def test_a_record_is_written_last(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=WEIGHTS):
        cell_files.finish(tmp_path, {"identity": IDENTITY, "status": OK}, [WEIGHTS])
    assert not (tmp_path / RECORD).exists()


def test_damaged_tensors_are_named(cell: Path) -> None:
    content = (cell / WEIGHTS).read_bytes()
    for damaged in (b"", b"xxx", content[:-1], content[:20]):
        (cell / WEIGHTS).write_bytes(damaged)
        with pytest.raises(PrunebenchError, match=rf"{WEIGHTS} is missing or damaged"):
            cell_files.load_tensors(cell / WEIGHTS)
    with pytest.raises(PrunebenchError, match="none is missing or damaged"):
        cell_files.load_tensors(cell / "none")


def test_tensors_that_cannot_be_written_are_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match="cannot write"):
        cell_files.save_tensors(tmp_path / "file" / "a", {"a": torch.ones(1)})
