"""Kinds whose targets are tokens, by hand, by loops and by torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from prunebench.errors import PrunebenchError
from prunebench.evaluation.generalization import quality
from prunebench.tasks.kinds.language_model import LanguageModel
from prunebench.tasks.kinds.speech_recognition import SpeechRecognition, edits
from prunebench.tasks.kinds.translation import Translation
from prunebench.tasks.predictions import Predictions
from prunebench.tasks.raw import Raw, Split

from ..conftest import MakeTask

WORDS = {"names": [], "vocabulary": ["", "a", "b", "c"]}
TARGETS = torch.tensor([[1, 2, 3], [2, 3, 0], [0, 0, 1]], dtype=torch.int32)


def _logits(predicted: list[list[int]], height: float = 3.0) -> torch.Tensor:
    return height * functional.one_hot(torch.tensor(predicted), 4).float()


def test_a_language_models_error_counts_tokens() -> None:
    kind = LanguageModel(WORDS)
    logits = _logits([[1, 2, 1], [2, 1, 3], [3, 3, 1]])  # wrong: one of 3, one of 2, none of 1
    found = kind.read(kind.keep(logits, TARGETS).double().numpy())
    wanted = TARGETS.numpy()
    assert kind.errors(found, wanted).tolist() == pytest.approx([1 / 3, 1 / 2, 0])
    assert kind.error(found, wanted) == pytest.approx(2 / 6)
    # longer sequences weigh more in it, so that tests of sequences are none of it
    assert kind.tested_errors(found, wanted) is None
    equal = np.array([[1, 2, 3], [2, 3, 1], [3, 2, 1]])  # wrong: one of 3, two, one
    assert kind.tested_errors(found, equal) == pytest.approx(kind.errors(found, equal))
    by_torch = functional.cross_entropy(
        logits.flatten(0, 1), TARGETS.flatten().long(), ignore_index=0
    )
    assert kind.loss(logits, TARGETS).item() == pytest.approx(by_torch.item())
    assert found.losses.sum() / 6 == pytest.approx(by_torch.item(), rel=1e-6)
    right, wrong = -math.log(math.exp(3) / (math.exp(3) + 3)), -math.log(1 / (math.exp(3) + 3))
    assert found.losses[0].tolist() == pytest.approx([right, right, wrong], rel=1e-6)
    # losses are of the stored targets alone
    assert kind.nlls(found, wanted) is not None
    assert kind.nlls(found, np.array([[1, 2, 1], [2, 3, 0], [0, 0, 1]])) is None
    # the commonest token is one third of all
    assert kind.constant_error(wanted) == pytest.approx(1 - 2 / 6)


def test_one_token_alone_is_nothing_to_learn(make_task: MakeTask) -> None:
    task = make_task(kind="language-model", source="text-files", path=__file__)
    tokens = np.full((4, 3), 2, np.int32)
    raw = Raw(Split(tokens, np.where(np.eye(4, 3) > 0, 0, tokens)), facts={**WORDS})
    with pytest.raises(PrunebenchError, match="every token to predict is 'b': there is nothing"):
        LanguageModel.check(raw, task)
    tokens[0, 0] = 1
    LanguageModel.check(Raw(Split(tokens, tokens), facts={**WORDS}), task)


def test_a_translation_is_exact_or_not() -> None:
    kind = Translation(WORDS)
    logits = _logits([[1, 2, 1], [2, 3, 3], [3, 3, 1]])
    found = kind.read(kind.keep(logits, TARGETS).double().numpy())
    assert kind.errors(found, TARGETS.numpy()).tolist() == [1, 0, 0]  # padding does not count
    splits = dict.fromkeys(("train", "val", "test"), kind.keep(logits, TARGETS).double().numpy())
    targets = dict.fromkeys(splits, TARGETS.numpy())
    measured = quality(Predictions(kind, splits, targets, TARGETS.numpy(), splits["test"]))
    assert measured["test_error"] == pytest.approx(1 / 3)
    assert measured["test_token_error"] == pytest.approx(1 / 6)
    mean = found.losses.sum() / 6
    assert measured["test_perplexity"] == pytest.approx(math.exp(mean))


@pytest.mark.parametrize(
    ("of_target", "share"),
    [
        # four outputs: 1/4 is guessing, 1/2 half of it, certainty nothing, and wrong is no more
        ([1 / 4] * 3, 1.0), ([1 / 2] * 3, 0.5), ([1.0] * 3, 0.0), ([1e-30] * 3, 1.0),
        ([1.0, 1 / 4, 1 / 2], 0.5), ([0.0, 1.0, 1.0], 1.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [LanguageModel(WORDS), Translation(WORDS)])
def test_uncertainty_is_the_loss_over_that_of_guessing(
    kind: LanguageModel, of_target: list[float], share: float
) -> None:
    targets = np.array([[1, 2, 3, 0]])
    with np.errstate(divide="ignore"):
        losses = np.append(-np.log(of_target), 0.0)  # the padding does not count
    stored = np.stack([np.ones((1, 4)), losses[None], targets], -1)
    splits = dict.fromkeys(("train", "val", "test"), stored)
    found = quality(Predictions(kind, splits, dict.fromkeys(splits, targets), targets, stored))
    assert found["test_uncertainty"] == pytest.approx(share)


def test_an_exact_sequence_is_what_greedy_decoding_gives() -> None:
    """A network without a state beside the tokens read: a table of which follows which."""
    kind = Translation(WORDS)
    table = torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]])
    for start, wanted in ((1, [2, 3, 1]), (2, [3, 1, 1])):
        decoded, last = [], start
        for _ in wanted:
            last = int(table[last].argmax())
            decoded.append(last)
        inputs = torch.tensor([[start, *wanted[:-1]]])
        targets = torch.tensor([wanted], dtype=torch.int32)
        found = kind.read(kind.keep(table[inputs], targets).double().numpy())
        assert bool(kind.errors(found, targets.numpy())[0]) == (decoded != wanted)


def test_ctc_is_decoded_as_its_authors_say() -> None:
    kind = SpeechRecognition({"names": [], "target_vocabulary": ["", "a", "b", "c"]})
    # a a _ a b b _ -> a a b; _ c c c _ _ _ -> c
    logits = _logits([[1, 1, 0, 1, 2, 2, 0], [0, 3, 3, 3, 0, 0, 0]])
    targets = torch.tensor([[1, 1, 2], [3, 1, 0]], dtype=torch.int32)
    stored = kind.keep(logits, targets)
    found = kind.read(stored.double().numpy())
    assert found.words == [(1, 1, 2), (3,)]
    assert kind.errors(found, targets.numpy()).tolist() == [0, 0.5]
    own = functional.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1), torch.tensor([[1, 1, 2], [3, 1, 0]]),
        torch.tensor([7, 7]), torch.tensor([3, 2]), reduction="none",
    )  # fmt: skip
    torch.testing.assert_close(stored[:, -1], own)
    assert kind.loss(logits, targets).item() == pytest.approx(
        float((own / torch.tensor([3, 2])).mean())
    )


def test_words_beyond_the_room_are_left_out_and_stay_wrong() -> None:
    kind = SpeechRecognition({"names": [], "target_vocabulary": ["", "a", "b", "c"]})
    targets = torch.tensor([[3]], dtype=torch.int32)
    found = kind.read(kind.keep(_logits([[1, 2, 1, 2, 1]]), targets).double().numpy())
    assert found.words == [(1, 2)]  # twice the longest target
    assert kind.errors(found, targets.numpy()).tolist() == [1]


@pytest.mark.parametrize(
    ("heard", "said", "least"),
    [((), (1, 2), 2), ((1, 2), (1, 2), 0), ((2, 1), (1, 2), 2), ((1, 9, 2), (1, 2), 1)],
)
def test_edits_by_hand(heard: tuple[int, ...], said: tuple[int, ...], least: int) -> None:
    assert edits(heard, said) == least


def test_the_word_error_rate_is_jiwers() -> None:
    import jiwer

    kind = SpeechRecognition({"names": [], "target_vocabulary": ["", "a", "b", "c"]})
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 9, 4, generator=draw)
    targets = torch.randint(1, 4, (20, 3), generator=draw, dtype=torch.int32)
    stored = kind.keep(logits, targets).double().numpy()
    splits, same = dict.fromkeys(("train", "val", "test"), stored), targets.numpy()
    found = quality(Predictions(kind, splits, dict.fromkeys(splits, same), same, stored))
    texts = [" ".join(map(str, row)) for row in same.tolist()]
    heard = [" ".join(map(str, words)) for words in kind.read(stored).words]
    assert found["test_word_error_rate"] == pytest.approx(jiwer.wer(texts, heard))


def test_the_word_error_rate_of_spelled_transcripts_is_jiwers() -> None:
    import jiwer

    letters = ["", " ", "a", "b"]
    kind = SpeechRecognition({"names": [], "target_vocabulary": letters, "spelled": True})
    texts = ["ab a", "b", "bab ab", "a b ab"]
    heard = ["ab  b", "ab ", "bab ab", "ab ab"]
    width = max(map(len, texts))
    targets = np.zeros((len(texts), width), np.int32)
    stored = np.zeros((len(texts), 2 * width + 1))
    for row, (text, found) in enumerate(zip(texts, heard, strict=True)):
        targets[row, : len(text)] = [letters.index(letter) for letter in text]
        stored[row, : len(found)] = [letters.index(letter) for letter in found]
    splits = dict.fromkeys(("train", "val", "test"), stored)
    p = Predictions(kind, splits, dict.fromkeys(splits, targets), targets, stored)
    measured = quality(p)
    assert measured["test_word_error_rate"] == pytest.approx(jiwer.wer(texts, heard))
    each = [jiwer.cer(text, found) for text, found in zip(texts, heard, strict=True)]
    # jiwer takes spaces at the ends away, so that the second text is compared by hand: 2 edits of 1
    assert p.kind.errors(p.outputs["test"], targets).tolist() == pytest.approx(
        [each[0], 1.0, each[2], each[3]]
    )


def test_too_few_steps_for_a_transcript_are_told() -> None:
    kind = SpeechRecognition({"names": [], "target_vocabulary": ["", "a", "b"]})
    targets = {"train": torch.tensor([[1, 2, 1, 0]]), "test": torch.tensor([[1, 1, 2, 2]])}
    assert kind.unfit(torch.zeros(1, 6, 3), targets) is None  # a blank a b blank b
    message = kind.unfit(torch.zeros(1, 5, 3), targets)
    assert message == (
        "it gives 5 steps, and a transcript of the test split needs 6; lower speech.hop"
    )
    # what is told has no alignment, and no loss
    lost = kind._losses(torch.zeros(1, 5, 3), targets["test"])
    assert lost.tolist() == [0.0]
