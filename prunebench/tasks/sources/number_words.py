"""Numbers in words, from English into German or French (embedded): translation without data.

All whole numbers below 10,000, as the package ``num2words`` writes them: compositional, exact, any
amount. Small, and with room to overfit: for trying and for tests, not for a paper. Commas and
hyphens count as spaces, so that the words of a number can be told apart.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw
from prunebench.tasks.tokens import (
    END_TEXT,
    SEPARATOR_TEXT,
    build_vocabulary,
    pair_length,
    tokenize,
    translated,
)

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

COUNT = 10_000
LANGUAGES = {"en-de": ("en", "de"), "en-fr": ("en", "fr")}


def check(task: Task) -> None:
    """Refuse a task of an unknown pair of languages."""
    known_dataset(task, LANGUAGES)


def read(task: Task, folder: Path) -> Raw:
    """Return the numbers from 0 on as one training split. Read no file.

    Raises:
        PrunebenchError: a pair is longer than the task's ``length``.
    """
    source, target = (
        [tokenize(words, task.tokens) for words in _all_in_words(language, COUNT)]
        for language in known_dataset(task, LANGUAGES)
    )
    vocabulary = build_vocabulary([*source, *target], task.vocabulary, (SEPARATOR_TEXT, END_TEXT))
    length = task.length or pair_length(source, target)
    pairs = translated(source, target, vocabulary, length, f"task {task.name!r}")
    facts = {
        "vocabulary": vocabulary,
        "separator": vocabulary.index(SEPARATOR_TEXT),
        "end": vocabulary.index(END_TEXT),
    }
    return Raw(pairs, facts=facts, item="pair")


@cache
def _all_in_words(language: str, count: int) -> tuple[str, ...]:
    return tuple(in_words(number, language) for number in range(count))


def in_words(number: int, language: str) -> str:
    """Return a number in words with spaces alone between them."""
    from num2words import num2words

    return " ".join(num2words(number, lang=language).replace(",", " ").replace("-", " ").split())
