"""Cells on disk: whole, or as if they were not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.storage import cell_files
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.layout import MASKS, PROBES, RECORD, WEIGHTS
from prunebench.storage.records import DIVERGED, FAILED, OK

IDENTITY = "i" * 64


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    cell_files.save_tensors(tmp_path / WEIGHTS, {"a": torch.arange(6.0).reshape(2, 3).T})
    cell_files.save_tensors(tmp_path / MASKS, {"a": torch.ones(2, dtype=torch.uint8)})
    cell_files.finish(tmp_path, {"identity": IDENTITY, "status": OK, "seed": 1}, [WEIGHTS, MASKS])
    return tmp_path


def rewrite(cell: Path, **changes: Any) -> None:
    write_sealed(cell / RECORD, {**read_sealed(cell / RECORD), **changes})


def test_a_whole_cell_is_found(cell: Path) -> None:
    record = cell_files.finished(cell, IDENTITY)
    assert record is not None
    assert (record["seed"], set(record["files"])) == (1, {WEIGHTS, MASKS})
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


def write_cell(folder: Path, value: float) -> None:
    cell_files.save_tensors(folder / WEIGHTS, {"a": torch.full((2,), value)})


def test_a_cell_is_what_one_process_wrote_whoever_writes_beside_it(tmp_path: Path) -> None:
    """A worker that outlived its command ends between the files of another and their record."""
    cell = tmp_path / "0.5"
    with cell_files.written(cell) as first:
        write_cell(first, 1)
        with cell_files.written(cell) as second:
            write_cell(second, 2)
            cell_files.finish(second, {"identity": IDENTITY, "status": OK}, [WEIGHTS])
        record = cell_files.finished(cell, IDENTITY)
        assert record is not None
        assert cell_files.load_tensors(cell / WEIGHTS)["a"].tolist() == [2, 2]
        cell_files.finish(first, {"identity": IDENTITY, "status": OK}, [WEIGHTS])
    other = cell_files.finished(cell, IDENTITY)
    assert other is not None
    assert other["files"] != record["files"]
    assert cell_files.load_tensors(cell / WEIGHTS)["a"].tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["0.5"]


def test_a_cell_that_is_not_finished_leaves_the_one_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "0.5"
    with cell_files.written(folder) as own:
        write_cell(own, 1)
        cell_files.finish(own, {"identity": IDENTITY, "status": OK}, [WEIGHTS])
    (folder / PROBES).write_text("of this record")
    (folder / MASKS).write_text("of an earlier one")

    def broken() -> None:
        with cell_files.written(folder) as own:
            write_cell(own, 2)
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        broken()
    assert cell_files.load_tensors(folder / WEIGHTS)["a"].tolist() == [1, 1]
    left = tmp_path / ".writing" / "0.5.killed"
    left.mkdir(parents=True)
    (left / WEIGHTS).write_text("a part")
    with cell_files.written(folder) as own:
        write_cell(own, 3)
        cell_files.finish(own, {"identity": IDENTITY, "status": OK}, [WEIGHTS])
    assert sorted(path.name for path in folder.iterdir()) == [PROBES, RECORD, WEIGHTS]
    assert [path.name for path in tmp_path.iterdir()] == ["0.5"]


def test_a_cells_folder_that_is_a_link_is_replaced_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / WEIGHTS).write_text("the user's own")
    (tmp_path / "0.5").symlink_to(tmp_path / "home", target_is_directory=True)
    with cell_files.written(tmp_path / "0.5") as own:
        write_cell(own, 1)
        cell_files.finish(own, {"identity": IDENTITY, "status": OK}, [WEIGHTS])
    assert [path.read_text() for path in (tmp_path / "home").iterdir()] == ["the user's own"]
    assert cell_files.finished(tmp_path / "0.5", IDENTITY) is not None
