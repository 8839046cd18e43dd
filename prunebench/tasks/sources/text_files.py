"""Running text for language models: WikiText-2, or text files of one's own.

``WikiText-2`` (Merity 2016, about 2 million words, with its own ``<unk>``; CC BY-SA 3.0) is fetched
from its official address with the published sum. ``path:`` is the folder with
``wiki.train.tokens``, ``wiki.valid.tokens`` and ``wiki.test.tokens``.

Without ``dataset``, ``path:`` is a text file in UTF-8, or a folder with ``train.txt``, and
``val.txt`` and ``test.txt`` where they exist. Every line ends in a token ``<end>``. The text is
cut into pieces of ``length`` tokens; every token is predicted once. A pretrained model's tokenizer
(``tokens: hf:…``) reads the text as it is, with the ends of its lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_name import HubName
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.pretrained_tokens import Tokenizer
from prunebench.tasks.raw import Raw, Split, local_path
from prunebench.tasks.tables import read_text, split_files
from prunebench.tasks.tokens import (
    END_TEXT,
    build_vocabulary,
    check_known,
    continued,
    in_pieces,
    tokenize,
)

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

DATASETS = {
    "WikiText-2": Remote(
        "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip", "md5",
        "542ccefacc6c27f945fb54453812b3cd",
    )
}  # fmt: skip
LENGTH = 64
_WIKI = {"train": "wiki.train.tokens", "val": "wiki.valid.tokens", "test": "wiki.test.tokens"}
_WHAT = "a text file, or a folder with train.txt, and val.txt and test.txt"


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, or of files without a path to them."""
    if task.dataset is None:
        local_path(task, _WHAT)
    else:
        known_dataset(task, DATASETS)


def download(task: Task, folder: Path) -> None:
    """Download a data set into ``folder/<dataset>``, once, whole or not at all.

    Raises:
        PrunebenchError: the server cannot be reached, or the checksum is wrong.
    """
    if task.dataset is not None:
        fetch(task, folder, [DATASETS[task.dataset]])


def read(task: Task, folder: Path) -> Raw:
    """Read the text in pieces; the vocabulary is that of the training text.

    Raises:
        PrunebenchError: a file is missing, empty or of another encoding.
    """
    check(task)
    if task.dataset is None:
        files = split_files(local_path(task, _WHAT), (".txt",))
    else:
        files = _wiki_files(root_of(task, folder, "a folder with wiki.train.tokens"))
    hub = HubName.named(task.tokens)
    splits, facts = (
        _in_own_tokens(files, task) if hub is None else _in_tokens_of(Tokenizer(hub), files, task)
    )
    for name, split in splits.items():
        if len(split) == 0:
            raise PrunebenchError(f"{files[name][0]} holds no text")
    return Raw(splits["train"], splits.get("val"), splits.get("test"), facts=facts, item="piece")


def _wiki_files(root: Path) -> dict[str, list[Path]]:
    files = {}
    for split, name in _WIKI.items():
        files[split] = sorted(root.rglob(name))[:1]
        if not files[split]:
            raise PrunebenchError(f"{root} holds no {name}")
    return files


def _in_own_tokens(
    files: Mapping[str, list[Path]], task: Task
) -> tuple[dict[str, Split], dict[str, Any]]:
    """Return splits in characters or words of the training text, and the tokens' facts."""
    texts = {split: _tokens(paths, task) for split, paths in files.items()}
    vocabulary = build_vocabulary(texts["train"], task.vocabulary, (END_TEXT,))
    splits = {}
    for name, lines in texts.items():
        where = str(files[name][0])
        splits[name] = continued(lines, vocabulary, task.length or LENGTH, where)
        if name != "train":
            check_known(splits[name].inputs, name, task)
    return splits, {"vocabulary": vocabulary, "end": vocabulary.index(END_TEXT)}


def _in_tokens_of(
    tokenizer: Tokenizer, files: Mapping[str, list[Path]], task: Task
) -> tuple[dict[str, Split], dict[str, Any]]:
    """Return splits in the tokens of a pretrained model, and the tokens' facts."""
    splits = {}
    for name, paths in files.items():
        text = "\n".join(read_text(path) for path in paths)
        splits[name] = in_pieces(tokenizer.running(text), task.length or LENGTH)
    return splits, tokenizer.facts()


def _tokens(paths: list[Path], task: Task) -> list[list[str]]:
    """Return the tokens of every line that is not empty, each with its end."""
    lines = [line.strip() for path in paths for line in read_text(path).splitlines()]
    return [[*tokenize(line, task.tokens), END_TEXT] for line in lines if line]
