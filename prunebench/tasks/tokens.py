"""Texts as tokens: characters or words, a vocabulary of the training texts, cut and padded rows.

Token 0 pads the ends of rows and is never a token of a text; token 1 stands for everything that
the vocabulary lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_name import HubName
from prunebench.tasks.pretrained_tokens import Tokenizer
from prunebench.tasks.raw import Split, check_fits

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

PAD, UNKNOWN = 0, 1
UNKNOWN_TEXT = "<unk>"
SEPARATOR_TEXT = "<sep>"  # between a text and its translation
END_TEXT = "<end>"  # of a translation, or of a line

Texts = Sequence[Sequence[str]]  # each text as its tokens
Tokens = NDArray[np.int32]  # [N, L]


def tokenize(text: str, unit: str) -> list[str]:
    """Return the tokens of a text: its ``characters``, or its ``words`` between white space.

    Raises:
        PrunebenchError: the unit is a tokenizer, which not every source uses.
    """
    if HubName.named(unit) is not None:
        raise PrunebenchError(
            f"tokens: {unit}: translations are cut into characters or words; a pretrained model's"
            " tokenizer cuts texts with a class and running text (sources text, text-files)"
        )
    return list(text) if unit == "characters" else text.split()


def build_vocabulary(
    texts: Texts, size: int | None = None, special: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the texts of all tokens: the pad (""), ``<unk>``, special ones, then the most common.

    Args:
        texts: of training.
        size: how many there may be in all; None keeps every token of training.
        special: tokens that no text holds by itself, such as ``<sep>``.
    """
    first = ("", UNKNOWN_TEXT, *special)
    counts = Counter(token for text in texts for token in text)
    for token in first:
        counts.pop(token, None)
    common = sorted(counts, key=lambda token: (-counts[token], token))
    return (*first, *common)[:size]


def encode(texts: Texts, vocabulary: Sequence[str], length: int, where: str) -> Tokens:
    """Return texts as rows of token numbers [N, length]: cut at the end, or padded with 0.

    Raises:
        PrunebenchError: they do not fit into memory.
    """
    _check_rows(len(texts), length, where)
    numbers = {token: number for number, token in enumerate(vocabulary)}
    rows = np.full((len(texts), length), PAD, np.int32)
    for row, text in zip(rows, texts, strict=True):
        kept = [numbers.get(token, UNKNOWN) for token in text[:length]]
        row[: len(kept)] = kept
    return rows


def _check_rows(count: int, length: int, where: str) -> None:
    check_fits(
        4 * length * count, f"{where}: {count:,} texts of {length:,} tokens", "length: cuts texts"
    )


def check_known(tokens: Tokens, split: str, task: Task) -> None:
    """Refuse a split most of whose tokens training never shows: another language or encoding.

    Raises:
        PrunebenchError: more than half of the tokens are ``<unk>``.
    """
    counted, unknown = int((tokens != PAD).sum()), int((tokens == UNKNOWN).sum())
    if 2 * unknown > counted:
        advice = [
            *(["tokens: characters knows more words"] if task.tokens == "words" else []),
            *([f"vocabulary: {task.vocabulary} may be too few"] if task.vocabulary else []),
        ]
        raise PrunebenchError(
            f"task {task.name!r}: {100 * unknown / counted:.0f} % of the {split} split's tokens are"
            " not in the vocabulary: the same language and encoding as in training?"
            + "".join(f"; {each}" for each in advice)
        )


def longest(texts: Texts) -> int:
    """Return the number of tokens of the longest text, at least 1."""
    return max((len(text) for text in texts), default=1) or 1


def classified(
    splits: Mapping[str, tuple[Sequence[str], NDArray[np.int64]]], task: Task
) -> tuple[dict[str, Split], dict[str, Any]]:
    """Return the splits of texts with a class each, as rows of tokens, and the tokens' facts.

    Args:
        splits: by name, with ``train``: texts and classes [N].
        task: how texts are cut into tokens, how long rows are, how many tokens are known.

    Raises:
        PrunebenchError: a split is mostly of unknown tokens, does not fit into memory, or the
            tokenizer cannot be loaded.
    """
    if (hub := HubName.named(task.tokens)) is not None:
        return _by_tokenizer(splits, Tokenizer(hub), task)
    texts = {
        name: [tokenize(text, task.tokens) for text in split] for name, (split, _) in splits.items()
    }
    vocabulary = build_vocabulary(texts["train"], task.vocabulary)
    length = task.length or longest(texts["train"])
    made: dict[str, Split] = {}
    for name, (_, classes) in splits.items():
        rows = encode(texts[name], vocabulary, length, f"task {task.name!r}")
        if name != "train":
            check_known(rows, name, task)
        made[name] = Split(rows, classes)
    return made, {"vocabulary": vocabulary}


def _by_tokenizer(
    splits: Mapping[str, tuple[Sequence[str], NDArray[np.int64]]], tokenizer: Tokenizer, task: Task
) -> tuple[dict[str, Split], dict[str, Any]]:
    found = {name: tokenizer.rows(texts, task.length) for name, (texts, _) in splits.items()}
    length = task.length or max((len(row) for row in found["train"]), default=1) or 1
    made = {}
    for name, (texts, classes) in splits.items():
        _check_rows(len(texts), length, f"task {task.name!r}")
        rows = np.full((len(texts), length), PAD, np.int32)
        for row, tokens in zip(rows, found[name], strict=True):
            row[: len(tokens)] = tokens[:length]
        made[name] = Split(rows, classes)
    return made, tokenizer.facts()


def continued(
    texts: Sequence[Sequence[str]], vocabulary: Sequence[str], length: int, where: str
) -> Split:
    """Return a running text in pieces [N, length], each with the tokens that come next.

    Every token but the first is predicted once. The last piece is padded.

    Args:
        texts: pieces of one running text, in order; each ends where the next begins.
        vocabulary: the texts of all tokens.
        length: of a piece.
        where: the file, for messages.
    """
    numbers = {token: number for number, token in enumerate(vocabulary)}
    count = sum(len(text) for text in texts)
    check_fits(12 * count, f"{where}: {count:,} tokens")
    stream = np.fromiter(
        (numbers.get(token, UNKNOWN) for text in texts for token in text), np.int32, count
    )
    return in_pieces(stream, length)


def in_pieces(stream: Tokens, length: int) -> Split:
    """Return a running text in pieces [N, length], each with the tokens that come next.

    Args:
        stream: all its tokens, in order [count].
        length: of a piece.
    """
    count = len(stream)
    pieces = max(-(-(count - 1) // length), 0)
    rows = np.full((2, pieces * length), PAD, np.int32)
    if count > 1:
        rows[:, : count - 1] = stream[:-1], stream[1:]
    inputs, targets = rows.reshape(2, pieces, length)
    return Split(inputs, targets)


def translated(
    sources: Texts, targets: Texts, vocabulary: Sequence[str], length: int, where: str
) -> Split:
    """Return pairs for a decoder alone: inputs ``source <sep> target``, targets what comes next.

    Counted are the positions whose next token belongs to the target or is ``<end>``: the others
    are 0.

    Args:
        sources: N texts.
        targets: their translations.
        vocabulary: of both languages, with ``<sep>`` and ``<end>``.
        length: of the rows.
        where: the file, for messages.

    Raises:
        PrunebenchError: a pair is longer than a row: half a translation cannot be right.
    """
    check_fits(8 * length * len(sources), f"{where}: {len(sources):,} pairs of {length:,} tokens")
    numbers = {token: number for number, token in enumerate(vocabulary)}
    inputs = np.full((len(sources), length), PAD, np.int32)
    following = np.full_like(inputs, PAD)
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        row = [numbers.get(t, UNKNOWN) for t in (*source, SEPARATOR_TEXT, *target, END_TEXT)]
        if len(row) - 1 > length:
            raise PrunebenchError(
                f"{where}, pair {index + 1}: {len(source)} and {len(target)} tokens and the"
                f" separator are more than length: {length}; raise length:, or leave the pair out"
            )
        inputs[index, : len(row) - 1] = row[:-1]
        following[index, len(source) : len(row) - 1] = row[len(source) + 1 :]
    return Split(inputs, following)


def pair_length(sources: Texts, targets: Texts) -> int:
    """Return the length of the row that the longest pair takes."""
    pairs: Iterable[int] = (len(s) + len(t) + 1 for s, t in zip(sources, targets, strict=True))
    return max(pairs, default=1)
