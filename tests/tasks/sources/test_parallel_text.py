"""Sentences and their translations, whole and broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources.parallel_text import check, read

from ..conftest import MakeTask


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def task(tmp_path: Path, make_task: MakeTask) -> Any:
    return make_task(source="parallel-text", path=str(tmp_path), input="en", target="de")


@pytest.mark.parametrize("dataset", [None, "Multi30k"])
def test_pairs_of_lines(tmp_path: Path, task: Any, dataset: str | None) -> None:
    write(
        tmp_path,
        train_en="a dog\na cat runs\n", train_de="ein Hund\neine Katze rennt",
        val_en="a dog\n", val_de="ein Kater\n",
    )  # fmt: skip
    raw = read(task.model_copy(update={"dataset": dataset}), tmp_path)
    vocabulary = raw.facts["vocabulary"]
    assert vocabulary[:4] == ("", "<unk>", "<sep>", "<end>")
    rows = [" ".join(vocabulary[token] for token in row if token) for row in raw.train.inputs]
    assert rows == ["a dog <sep> ein Hund", "a cat runs <sep> eine Katze rennt"]
    assert raw.val is not None
    due = [vocabulary[token] for token in raw.val.targets[0] if token]
    assert due == ["ein", "<unk>", "<end>"]
    assert raw.test is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train_en": "a\nb\n", "train_de": "a\n"}, "train.en has 2 lines, and .*train.de 1: line"),
        ({"train_en": "a\n\nb\n", "train_de": "a\nb\nc\n"}, "train.en, line 2 is empty"),
        ({"train_en": "a\n", "train_de": b"\xff\n"}, "train.de, line 1: byte 0xff is not UTF-8"),
        ({"train_en": "a\n"}, "train.de cannot be read"),
        ({"val_en": "a\n", "val_de": "b\n"}, "holds no train.en; path: must be"),
        (
            {"train_en": "a\n", "train_de": "b\n", "test_en": "x\n", "test_de": "y\n"},
            "50 % of the test|tokens are not in the vocabulary",
        ),
    ],
)
def test_broken_files(
    tmp_path: Path, task: Any, files: dict[str, str | bytes], message: str
) -> None:
    write(tmp_path, **files)
    with pytest.raises(PrunebenchError, match=message) as caught:
        read(task, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pair_of_more_tokens_than_a_row(tmp_path: Path, task: Any) -> None:
    write(tmp_path, train_en="a\na b c\n", train_de="a\nd e f\n")
    with pytest.raises(PrunebenchError, match=r"train\.en, pair 2: 3 and 3 tokens and the sep"):
        read(task.model_copy(update={"length": 6}), tmp_path)
    assert read(task.model_copy(update={"length": 7}), tmp_path).train.inputs.shape == (2, 7)


def test_languages_and_data_sets(make_task: MakeTask, tmp_path: Path) -> None:
    for languages in ({}, {"input": "en"}, {"input": "en", "target": "en"}):
        with pytest.raises(PrunebenchError, match="needs input: and target:, the endings"):
            check(make_task(source="parallel-text", path=str(tmp_path), **languages))
    with pytest.raises(PrunebenchError, match="unknown dataset 'multi30k'; did you mean 'Multi"):
        check(make_task(source="parallel-text", dataset="multi30k"))
