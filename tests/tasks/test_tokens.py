"""Texts as tokens: vocabularies, cut and padded rows, running text and pairs for a decoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.tasks import raw
from prunebench.tasks.tokens import (
    build_vocabulary,
    check_known,
    classified,
    continued,
    encode,
    pair_length,
    tokenize,
    translated,
)

from .conftest import MakeTask

TEXTS = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=9), min_size=1, max_size=12)


def test_characters_and_words() -> None:
    assert tokenize("so it goes", "words") == ["so", "it", "goes"]
    assert tokenize("Oß ", "characters") == ["O", "ß", " "]


def test_the_commonest_come_first_and_ties_in_the_order_of_the_alphabet() -> None:
    texts = [list("cabba"), list("bd")]
    assert build_vocabulary(texts) == ("", "<unk>", "b", "a", "c", "d")
    assert build_vocabulary(texts, 4) == ("", "<unk>", "b", "a")
    assert build_vocabulary(texts, special=("<sep>",))[:4] == ("", "<unk>", "<sep>", "b")


def test_a_text_that_holds_a_special_token_means_that_token() -> None:
    vocabulary = build_vocabulary([["a", "<unk>", "<unk>"]])
    assert vocabulary == ("", "<unk>", "a")
    assert encode([["<unk>", "a"]], vocabulary, 2, "").tolist() == [[1, 2]]


def test_rows_are_cut_and_padded_and_unknown_tokens_are_one() -> None:
    rows = encode([list("ab"), list("abab"), list("xa"), []], ("", "<unk>", "a", "b"), 3, "")
    assert rows.tolist() == [[2, 3, 0], [2, 3, 2], [1, 2, 0], [0, 0, 0]]
    assert rows.dtype == np.int32


@given(TEXTS)
def test_what_training_holds_comes_back(texts: list[list[str]]) -> None:
    vocabulary = build_vocabulary(texts)
    rows = encode(texts, vocabulary, 9, "")
    assert [[vocabulary[token] for token in row if token] for row in rows] == texts
    assert 1 not in rows
    # padding stands at the ends only
    assert all(not (np.diff((row == 0).astype(int)) < 0).any() for row in rows)


def test_texts_that_do_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "memory", lambda: 2**20)
    with pytest.raises(PrunebenchError, match="here: 2 texts of 1,000,000 tokens: decoded"):
        encode([["a"], ["b"]], ("", "<unk>"), 1_000_000, "here")


def test_texts_with_classes(make_task: MakeTask) -> None:
    splits = {
        "train": (["a b", "b b c"], np.array([0, 1])),
        "test": (["c d a b"], np.array([1])),
    }
    made, facts = classified(splits, make_task())
    assert facts == {"vocabulary": ("", "<unk>", "b", "a", "c")}
    assert made["train"].inputs.tolist() == [[3, 2, 0], [2, 2, 4]]
    assert made["test"].inputs.tolist() == [[4, 1, 3]]  # cut to the longest of training
    assert made["test"].targets.tolist() == [1]
    longer, _ = classified(splits, make_task(length=5))
    assert longer["test"].inputs.tolist() == [[4, 1, 3, 2, 0]]


def test_a_split_in_another_language_is_refused(make_task: MakeTask) -> None:
    check_known(np.array([[1, 2, 0, 0], [1, 3, 0, 0]]), "test", make_task())
    with pytest.raises(PrunebenchError, match="75 % of the test split's tokens are not in"):
        check_known(np.array([[1, 1, 0, 0], [1, 3, 0, 0]]), "test", make_task())
    for settings, advice in (
        ({"tokens": "words", "vocabulary": 9}, "; tokens: characters .+; vocabulary: 9 may be"),
        ({"tokens": "characters"}, "as in training\\?$"),
    ):
        with pytest.raises(PrunebenchError, match=advice):
            check_known(np.array([[1, 1]]), "test", make_task(**settings))


def test_a_running_text_by_hand() -> None:
    vocabulary = ("", "<unk>", "a", "b", "c")
    split = continued([list("abc"), list("abx")], vocabulary, 4, "")
    assert split.inputs.tolist() == [[2, 3, 4, 2], [3, 0, 0, 0]]
    assert split.targets.tolist() == [[3, 4, 2, 3], [1, 0, 0, 0]]


@given(TEXTS, st.integers(1, 7))
def test_every_token_but_the_first_is_predicted_once(texts: list[list[str]], length: int) -> None:
    vocabulary = build_vocabulary(texts)
    split = continued(texts, vocabulary, length, "")
    whole = [token for text in texts for token in text]
    counted = split.targets != 0
    assert [vocabulary[token] for token in split.targets[counted]] == whole[1:]
    assert [vocabulary[token] for token in split.inputs[counted]] == whole[:-1]
    assert split.inputs.shape == split.targets.shape == (len(split), length)
    assert np.array_equal(split.inputs != 0, counted)


def test_a_pair_by_hand() -> None:
    vocabulary = ("", "<unk>", "<sep>", "<end>", "two", "zwei", "one", "hundred", "hundert")
    split = translated(
        [["two"], ["one", "hundred"]], [["zwei"], ["hundert"]], vocabulary, 5, "file"
    )
    assert split.inputs.tolist() == [[4, 2, 5, 0, 0], [6, 7, 2, 8, 0]]
    # after <sep> the first word of the target is due, after its last word <end>
    assert split.targets.tolist() == [[0, 5, 3, 0, 0], [0, 0, 8, 3, 0]]
    assert pair_length([["two"], ["one", "hundred"]], [["zwei"], ["hundert"]]) == 4


@given(TEXTS)
def test_a_decoder_sees_all_of_the_source_and_predicts_all_of_the_target(
    texts: list[list[str]],
) -> None:
    targets = [text[::-1] for text in texts]
    vocabulary = build_vocabulary(texts, special=("<sep>", "<end>"))
    split = translated(texts, targets, vocabulary, pair_length(texts, targets), "")
    for source, target, inputs, following in zip(
        texts, targets, split.inputs, split.targets, strict=True
    ):
        shown = [vocabulary[token] for token in inputs if token]
        assert shown == [*source, "<sep>", *target]
        assert [vocabulary[token] for token in following if token] == [*target, "<end>"]
        first = np.flatnonzero(following)[0]
        assert inputs[first] == vocabulary.index("<sep>")


def test_a_pair_that_is_too_long_is_refused_by_its_number() -> None:
    with pytest.raises(PrunebenchError, match=r"^file, pair 2: 3 and 1 tokens and the separator"):
        translated([["a"], ["a"] * 3], [["b"], ["b"]], ("", "<unk>"), 4, "file")
