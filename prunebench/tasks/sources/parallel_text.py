"""Sentences and their translations: Multi30k, or two text files of one's own, line by line.

``Multi30k`` (Elliott 2016: 29,000 + 1,014 + 1,000 captions of Flickr images, ``input: en`` and
``target: de`` or the reverse; for research, as Flickr30k's captions) is fetched from the address of
WMT 2016 with the published sums. ``path:`` is the folder with ``train.en``, ``train.de``,
``val.en`` …

Without ``dataset``, ``path:`` is a folder with ``train.<input>`` and ``train.<target>``, and
``val.`` and ``test.`` where they exist: text files in UTF-8 of as many lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, local_path
from prunebench.tasks.tables import SPLITS, read_text
from prunebench.tasks.tokens import (
    END_TEXT,
    SEPARATOR_TEXT,
    build_vocabulary,
    check_known,
    pair_length,
    tokenize,
    translated,
)

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

_WMT = "http://www.quest.dcs.shef.ac.uk/wmt16_files_mmt"
DATASETS = {
    "Multi30k": (
        Remote(
            f"{_WMT}/training.tar.gz", "sha256",
            "20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e",
        ),
        Remote(
            f"{_WMT}/validation.tar.gz", "sha256",
            "a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c",
        ),
        Remote(
            f"{_WMT}/mmt16_task1_test.tar.gz", "sha256",
            "6d1ca1dba99e2c5dd54cae1226ff11c2551e6ce63527ebb072a1f70f72a5cd36",
        ),
    )
}  # fmt: skip
_WHAT = "a folder with train.<input> and train.<target>, two text files of as many lines"


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, without languages, or without a path to its files."""
    if task.dataset is None:
        local_path(task, _WHAT)
    else:
        known_dataset(task, DATASETS)
    if not task.input or not task.target or task.input == task.target:
        raise PrunebenchError(
            f"task {task.name!r}: source parallel-text needs input: and target:, the endings of"
            " the files of two languages, such as en and de"
        )


def download(task: Task, folder: Path) -> None:
    """Download a data set into ``folder/<dataset>``, once, whole or not at all.

    Raises:
        PrunebenchError: the server cannot be reached, or a checksum is wrong.
    """
    if task.dataset is not None:
        fetch(task, folder, DATASETS[task.dataset])


def read(task: Task, folder: Path) -> Raw:
    """Read pairs of lines; one vocabulary serves both languages, that of the training lines.

    Raises:
        PrunebenchError: a file is missing, empty or of another encoding, a line is empty, the two
            languages differ in the number of lines, or a pair is longer than ``length``.
    """
    check(task)
    if task.dataset is None:
        root = local_path(task, _WHAT)
    else:
        root = root_of(task, folder, f"a folder with {task.dataset}'s files")
    pairs = {}
    for split, names in SPLITS.items():
        found = _pair(root, names, task)
        if found is not None:
            pairs[split] = found
    if "train" not in pairs:
        raise PrunebenchError(f"{root} holds no train.{task.input}; path: must be {_WHAT}")
    sources, targets, _ = pairs["train"]
    vocabulary = build_vocabulary([*sources, *targets], task.vocabulary, (SEPARATOR_TEXT, END_TEXT))
    length = task.length or max(pair_length(s, t) for s, t, _ in pairs.values())
    splits = {
        split: translated(source, target, vocabulary, length, where)
        for split, (source, target, where) in pairs.items()
    }
    for name in splits.keys() - {"train"}:
        check_known(splits[name].inputs, name, task)
    facts = {
        "vocabulary": vocabulary,
        "separator": vocabulary.index(SEPARATOR_TEXT),
        "end": vocabulary.index(END_TEXT),
    }
    return Raw(splits["train"], splits.get("val"), splits.get("test"), facts=facts, item="pair")


def _pair(
    root: Path, names: tuple[str, ...], task: Task
) -> tuple[list[list[str]], list[list[str]], str] | None:
    """Return the tokens of both languages of a split, and the file; None if there is none."""
    for name in names:
        first, second = root / f"{name}.{task.input}", root / f"{name}.{task.target}"
        if first.exists() or second.exists():
            break
    else:
        return None
    source, target = _lines(first, task), _lines(second, task)
    if len(source) != len(target):
        raise PrunebenchError(
            f"{first} has {len(source)} lines, and {second} {len(target)}: line by line, one is to"
            " be the translation of the other"
        )
    return source, target, str(first)


def _lines(path: Path, task: Task) -> list[list[str]]:
    # not splitlines: it also cuts at signs that may stand within a line, such as U+2028
    lines = read_text(path).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise PrunebenchError(f"{path}, line {number} is empty")
    return [tokenize(line.strip(), task.tokens) for line in lines]
