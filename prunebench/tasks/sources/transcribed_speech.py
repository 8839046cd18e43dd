"""Recordings of sentences with what is said in them: LibriSpeech, or files of one's own.

``LibriSpeech``: read English audiobooks at 16 kHz (Panayotov 2015; CC BY 4.0), from OpenSLR with
its own sums: 100 hours, ``train-clean-100`` with ``dev-clean`` and ``test-clean`` (7 GB).
``MiniLibriSpeech``: 5 of these hours, ``train-clean-5`` with ``dev-clean-2`` and ``test-clean``
(0.8 GB). ``path:`` is the folder that holds these folders, or ``LibriSpeech`` with them.

Without ``dataset``, ``path:`` is a folder with ``train/``, and ``val/`` and ``test/`` if they
exist, each of files ``*.trans.txt`` as LibriSpeech has them, at any depth: a line for a recording,
its name without the ending and then its words, with ``<name>.flac`` or ``<name>.wav`` beside it.
Or it is Parquet as Hugging Face has it: columns ``audio`` {bytes, path} and ``text``; ``input:``
and ``target:`` are other names of these.

``tokens: characters`` spells transcripts, with a space between words; ``words`` takes them whole,
where training says every word that is to be heard. Letters are made small. Recordings longer than
``speech: {seconds: …}`` are left out, in every split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.settings.task import UNITS
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, local_path
from prunebench.tasks.recordings import Hearing, hearing, transcribed
from prunebench.tasks.sound_files import SUFFIXES, Signal, read_sound
from prunebench.tasks.tables import read_tables, read_text, sound_in, split_files, texts
from prunebench.tasks.tokens import tokenize

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

_OPENSLR = "https://www.openslr.org/resources"
_TEST = Remote(f"{_OPENSLR}/12/test-clean.tar.gz", "md5", "32fa31d27d2e1cad72775fee3f4849a9")
DATASETS = {
    "LibriSpeech": (
        Remote(f"{_OPENSLR}/12/train-clean-100.tar.gz", "md5", "2a93770f6d5c6c964bc36631d331a522"),
        Remote(f"{_OPENSLR}/12/dev-clean.tar.gz", "md5", "42e2234ba48799c1f50f24a7926300a1"),
        _TEST,
    ),
    "MiniLibriSpeech": (
        Remote(f"{_OPENSLR}/31/train-clean-5.tar.gz", "md5", "5df7d4e78065366204ca6845bb08f490"),
        Remote(f"{_OPENSLR}/31/dev-clean-2.tar.gz", "md5", "6d7ab67ac6a1d2c993d050e16d61080d"),
        _TEST,
    ),
}
SPLITS = ("train", "val", "test")  # in the order of a data set's archives
_WHAT = "a folder of train/**/*.trans.txt with recordings, or of train.parquet with audio and text"
_ENDING = ".trans.txt"


@dataclass(frozen=True, eq=False)
class Sentence:
    """A recording, read when it is needed, and its transcript."""

    sound: Callable[[], tuple[int, Signal]]
    text: str
    where: str  # for messages


Sentences = dict[str, list[Sentence]]  # by split, with "train"


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, of files without a path, or of other settings."""
    if task.dataset is None:
        local_path(task, _WHAT)
    else:
        known_dataset(task, DATASETS)
    where = f"task {task.name!r}: source {task.source}"
    if task.tokens not in UNITS:
        raise PrunebenchError(f"{where}: tokens: must be {' or '.join(UNITS)}, not {task.tokens}")
    if task.vocabulary is not None:
        raise PrunebenchError(f"{where} knows all that training says: leave out vocabulary")
    if task.speech.words is not None:
        raise PrunebenchError(
            f"{where}: speech.words: joins recordings of single words (source speech); leave it out"
        )


def download(task: Task, folder: Path) -> None:
    """Download a data set into ``folder/<dataset>``, once, whole or not at all.

    Raises:
        PrunebenchError: the server cannot be reached, or a checksum is wrong.
    """
    if task.dataset is not None:
        fetch(task, folder, DATASETS[task.dataset])


def read(task: Task, folder: Path) -> Raw:
    """Read recordings as images, and what is said as numbers of characters or words from 1 on.

    Raises:
        PrunebenchError: a file is missing or cannot be read, recordings differ in rate, or a split
            says what training never does.
    """
    check(task)
    if task.dataset is None:
        found = _own(local_path(task, _WHAT), task)
    else:
        root = root_of(task, folder, f"a folder with {task.dataset}'s folders")
        found = _official(root, task.dataset)
    hear = hearing(found["train"][0], task)
    found, longest = _short_enough(found, hear, task)
    said = {
        split: [tokenize(" ".join(one.text.lower().split()), task.tokens) for one in sentences]
        for split, sentences in found.items()
    }
    known = sorted({token for text in said["train"] for token in text})
    numbers = {token: number for number, token in enumerate(known, start=1)}
    for split, every in said.items():
        for one, text in zip(found[split], every, strict=True):
            if (new := next((token for token in text if token not in numbers), None)) is not None:
                remedy = "; tokens: characters spells words" if task.tokens == "words" else ""
                raise PrunebenchError(
                    f"{one.where}: {shown(new)} is nowhere in training{suggest(new, known)}{remedy}"
                )
    facts = {"target_vocabulary": ("", *known), "spelled": task.tokens == "characters"}
    signals = {split: [partial(hear, one) for one in every] for split, every in found.items()}
    rows = {split: [[numbers[token] for token in text] for text in said[split]] for split in said}
    most = max(len(row) for every in rows.values() for row in every)
    return transcribed(signals, rows, most, longest, facts, hear.rate, task)


def _short_enough(found: Sentences, hear: Hearing, task: Task) -> tuple[Sentences, int]:
    """Return the recordings that are no longer than the task says, and the samples of the longest.

    Raises:
        PrunebenchError: none of a split is.
    """
    most = math.inf if task.speech.seconds is None else task.speech.seconds * hear.rate
    kept: Sentences = {}
    longest = 0
    for split, every in found.items():
        samples = [len(hear(one)) for one in every]
        kept[split] = [one for one, own in zip(every, samples, strict=True) if own <= most]
        if not kept[split]:
            raise PrunebenchError(
                f"task {task.name!r}: every recording of the {split} split is longer than"
                f" speech.seconds: {task.speech.seconds:g}"
            )
        longest = max(longest, *(own for own in samples if own <= most))
    return kept, longest


def _official(root: Path, dataset: str) -> Sentences:
    """Return the sentences of a data set's folders, in a folder or its ``LibriSpeech``."""
    found: Sentences = {}
    for split, remote in zip(SPLITS, DATASETS[dataset], strict=True):
        name = remote.url.rsplit("/", 1)[-1].removesuffix(".tar.gz")
        places = [root / "LibriSpeech" / name, root / name]
        place = next((place for place in places if place.is_dir()), None)
        if place is None:
            raise PrunebenchError(f"{root} holds no folder {name} of {dataset}")
        found[split] = list(_in_folder(place))
    return found


def _own(root: Path, task: Task) -> Sentences:
    if root.is_file() or any(root.rglob("*.parquet")):
        files = split_files(root, (".parquet",))
        return {split: list(_in_table(parts, task)) for split, parts in files.items()}
    if not (root / "train").is_dir():
        raise PrunebenchError(f"{root} has no folder train; path: must be {_WHAT}")
    return {split: list(_in_folder(root / split)) for split in SPLITS if (root / split).is_dir()}


def _in_table(files: list[Path], task: Task) -> Iterator[Sentence]:
    table = read_tables(files)
    for row, text in enumerate(texts(table, task.target or "text")):
        where = table.where(row)
        content, _ = sound_in(table, row, task.input or "audio")
        yield Sentence(partial(read_sound, content, where), text, where)


def _in_folder(folder: Path) -> Iterator[Sentence]:
    """Yield what the transcripts of a folder name, in the order of their names.

    Raises:
        PrunebenchError: there is none or no recording, a line has no words or names no recording
            or one twice, or a recording stands in no line.
    """
    lists = sorted(folder.rglob(f"*{_ENDING}"))
    if not lists:
        raise PrunebenchError(f"{folder} holds no *{_ENDING}")
    left = {path for suffix in SUFFIXES for path in folder.rglob(f"*{suffix}")}
    if not left:
        raise PrunebenchError(f"{folder} holds no {' or '.join(SUFFIXES)} file")
    for path in lists:
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            name, _, text = line.strip().partition(" ")
            if not name:
                continue  # an empty line, such as the last
            where = f"{path}, line {number}"
            if not text.strip():
                raise PrunebenchError(f"{where}: {name} has no words")
            places = [path.parent / f"{name}{suffix}" for suffix in SUFFIXES]
            sound = next((place for place in places if place in left), None)
            if sound is None:
                raise PrunebenchError(f"{where}: {name} is not beside it, or is listed twice")
            left.remove(sound)
            yield Sentence(partial(read_sound, sound, str(sound)), text, where)
    if left:
        raise PrunebenchError(f"{min(left)} has no line in a *{_ENDING} beside it")
