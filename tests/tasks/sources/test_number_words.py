"""Numbers in words as pairs for a decoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources import number_words
from prunebench.tasks.sources.number_words import check, in_words, read

from ..conftest import MakeTask


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand numbers say as much as all."""
    monkeypatch.setattr(number_words, "COUNT", 1000)


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        (
            "en-fr",
            "nine hundred and eighty one <sep> neuf cent quatre vingt un <end>",
        ),
        ("en-de",  "nine hundred and eighty one <sep> neunhunderteinundachtzig <end>"),
    ],
)  # fmt: skip
def test_a_pair(make_task: MakeTask, dataset: str, sentence: str) -> None:
    raw = read(make_task(source="number-words", dataset=dataset), Path("unused"))
    vocabulary = raw.facts["vocabulary"]
    assert vocabulary[raw.facts["separator"]] == "<sep>"
    assert vocabulary[raw.facts["end"]] == "<end>"
    inputs, targets = raw.train.inputs[981], raw.train.targets[981]
    assert len(raw.train) == 1000
    shown = " ".join([*(vocabulary[token] for token in inputs if token), "<end>"])
    assert shown == sentence
    due = " ".join(vocabulary[token] for token in targets if token)
    assert due == sentence.partition("<sep> ")[2]
    assert 1 not in raw.train.inputs


def test_characters(make_task: MakeTask) -> None:
    raw = read(
        make_task(source="number-words", dataset="en-de", tokens="characters"), Path("unused")
    )
    vocabulary = raw.facts["vocabulary"]
    assert "".join(vocabulary[token] for token in raw.train.inputs[21]) == (
        "twenty one<sep>einundzwanzig"
    )
    assert len(vocabulary) < 32


def test_no_number_is_written_like_another() -> None:
    for language in ("en", "de", "fr"):
        assert len({in_words(number, language) for number in range(1000)}) == 1000


def test_unknown_languages_and_rows_that_are_too_short(make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'en-se'; did you mean 'en-de'"):
        check(make_task(source="number-words", dataset="en-se"))
    with pytest.raises(PrunebenchError, match="pair 22: 2 and 3 tokens and the separator"):
        read(make_task(source="number-words", dataset="en-fr", length=4), Path("unused"))
