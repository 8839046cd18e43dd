"""Running text, whole and broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources.text_files import check, read

from ..conftest import MakeTask


def shown(rows: Any, vocabulary: tuple[str, ...]) -> list[str]:
    return [" ".join(vocabulary[token] for token in row if token) for row in rows]


def test_a_folder_of_text_files(tmp_path: Path, make_task: MakeTask) -> None:
    (tmp_path / "train.txt").write_text("a rose is a rose\n\n is a rose \n")
    (tmp_path / "valid.txt").write_text("a tulip is\n")
    raw = read(make_task(source="text-files", path=str(tmp_path), length=4), tmp_path)
    vocabulary = raw.facts["vocabulary"]
    assert vocabulary == ("", "<unk>", "<end>", "a", "rose", "is")
    assert shown(raw.train.inputs, vocabulary) == ["a rose is a", "rose <end> is a", "rose"]
    assert shown(raw.train.targets, vocabulary) == ["rose is a rose", "<end> is a rose", "<end>"]
    assert raw.val is not None
    assert shown(raw.val.targets, vocabulary) == ["<unk> is <end>"]
    assert raw.test is None


def test_wikitext(tmp_path: Path, make_task: MakeTask) -> None:
    for split in ("train", "valid", "test"):
        place = tmp_path / "wikitext-2" / f"wiki.{split}.tokens"
        place.parent.mkdir(exist_ok=True)
        place.write_text(" \n = Name = \n \n The <unk> name . \n", encoding="utf-8")
    task = make_task(source="text-files", dataset="WikiText-2", path=str(tmp_path))
    raw = read(task, tmp_path)
    assert sorted(raw.splits()) == ["test", "train", "val"]
    assert raw.train.inputs.shape == (1, 64)
    assert shown(raw.train.inputs, raw.facts["vocabulary"]) == ["= Name = <end> The <unk> name ."]
    assert raw.facts["vocabulary"].count("<unk>") == 1
    (tmp_path / "wikitext-2" / "wiki.test.tokens").unlink()
    with pytest.raises(PrunebenchError, match=r"holds no wiki\.test\.tokens"):
        read(task, tmp_path)


def test_one_file_of_characters(tmp_path: Path, make_task: MakeTask) -> None:
    (tmp_path / "a.txt").write_text("abc\n")
    task = make_task(source="text-files", path=str(tmp_path / "a.txt"), tokens="characters")
    raw = read(task, tmp_path)
    assert shown(raw.train.inputs, raw.facts["vocabulary"]) == ["a b c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.txt holds no text"),
        (b" \n\n", "train.txt holds no text"),
        ("ab\ngrün".encode("latin-1"), "train.txt, line 2: byte 0xfc is not UTF-8"),
    ],
)
def test_broken_files(tmp_path: Path, make_task: MakeTask, content: bytes, message: str) -> None:
    (tmp_path / "train.txt").write_bytes(content)
    with pytest.raises(PrunebenchError, match=message):
        read(make_task(source="text-files", path=str(tmp_path)), tmp_path)


def test_nothing_there(tmp_path: Path, make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match=r"holds no train\.txt"):
        read(make_task(source="text-files", path=str(tmp_path)), tmp_path)
    with pytest.raises(PrunebenchError, match="unknown dataset 'wikitext-2'; did you mean 'Wiki"):
        check(make_task(source="text-files", dataset="wikitext-2"))
