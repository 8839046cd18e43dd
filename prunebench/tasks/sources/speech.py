"""Recordings of words: Free Spoken Digits, Speech Commands, or WAV and FLAC files of one's own.

``FSDD``: the Free Spoken Digit Dataset, version 1.0.9 (8 kHz; CC BY-SA 4.0), from GitHub with the
sum that TensorFlow Datasets publishes; takes 0 to 4 of each speaker and digit are the test set, as
its authors say. ``SpeechCommands``: version 0.02 (Warden 2018, 105,829 recordings of 35 words,
16 kHz, 2.3 GB; CC BY 4.0), with its own validation and test lists. ``path:`` is the folder of
either.

Without ``dataset``, ``path:`` is a folder ``train/<word>/*.wav`` or ``*.flac``, and ``val/`` and
``test/`` likewise if they exist; one with the words themselves, as Speech Commands has it; or
Parquet files as Hugging Face has them: columns ``audio`` {bytes, path} and ``label``.

``speech: {words: 5}`` joins up to five recordings of a speaker, with the transcript as target.
Recordings must have one rate: ``speech: {rate: 8000}`` resamples them.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, suggest
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, local_path
from prunebench.tasks.recordings import Recording, Recordings, as_classes, as_transcripts
from prunebench.tasks.sound_files import SUFFIXES, read_sound
from prunebench.tasks.tables import (
    Table,
    classes,
    read_tables,
    read_text,
    sound_in,
    split_files,
)

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

DATASETS = {
    "FSDD": Remote(
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz", "sha256",
        "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
    ),
    "SpeechCommands": Remote(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "sha256", "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    ),
}  # fmt: skip
DIGITS = tuple(str(digit) for digit in range(10))
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)\.wav")  # of FSDD's files
_TEST_TAKES = 5  # of FSDD: 0 to 4
_WHAT = "a folder of train/<word>/*.wav, or of train.parquet with audio and label"


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
    """Read recordings as images of one word each, or of several in a row.

    Raises:
        PrunebenchError: a file is missing, no WAV file or of another rate, or a list names a file
            that is not there.
    """
    check(task)
    if task.dataset is None:
        found, names = _own(local_path(task, _WHAT))
    else:
        root = root_of(task, folder, f"a folder with {task.dataset}'s files")
        found, names = (_fsdd if task.dataset == "FSDD" else _speech_commands)(root)
    make = as_classes if task.speech.words is None else as_transcripts
    return make(found, names, task)


def _own(root: Path) -> tuple[Recordings, tuple[str, ...]]:
    if root.is_file() or any(root.rglob("*.parquet")):
        return _parquet(root)
    if (root / "train").is_dir():
        places = {split: root / split for split in ("train", "val", "test")}
        return _folders({split: place for split, place in places.items() if place.is_dir()})
    return _speech_commands(root)


def _folders(places: dict[str, Path]) -> tuple[Recordings, tuple[str, ...]]:
    """Return the recordings of ``<split>/<word>/*.wav``."""
    names = _words(places["train"])
    found: Recordings = {}
    for split, place in places.items():
        found[split] = []
        for word in _words(place):
            if word not in names:
                raise PrunebenchError(
                    f"{place / word}: no word {word!r} in training{suggest(word, names)}"
                )
            found[split] += [_one(path, names.index(word)) for path in _waves(place / word)]
    return found, names


def _speech_commands(root: Path) -> tuple[Recordings, tuple[str, ...]]:
    """Return the recordings of ``<word>/*.wav``, split by its lists where there are some."""
    names = _words(root)
    every = {
        f"{word}/{path.name}": (path, names.index(word))
        for word in names
        for path in _waves(root / word)
    }
    found: Recordings = {}
    for split, name in (("val", "validation_list.txt"), ("test", "testing_list.txt")):
        if not (root / name).exists():
            continue
        found[split] = []
        for number, line in enumerate(read_text(root / name).splitlines(), start=1):
            if line not in every:
                raise PrunebenchError(
                    f"{root / name}, line {number}: {line!r} is not there, or is listed twice"
                )
            found[split].append(_one(*every.pop(line)))
    return {"train": [_one(*item) for item in every.values()], **found}, names


def _fsdd(root: Path) -> tuple[Recordings, tuple[str, ...]]:
    """Return the recordings of ``recordings/<digit>_<speaker>_<take>.wav``."""
    if root.is_file() or any(root.rglob("*.parquet")):
        return _parquet(root)[0], DIGITS
    paths = sorted(root.rglob("recordings/*.wav")) or sorted(root.glob("*.wav"))
    if not paths:
        raise PrunebenchError(f"{root} holds no recordings/*.wav")
    found: Recordings = {"train": [], "test": []}
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise PrunebenchError(f"{path}: FSDD's files are named <digit>_<speaker>_<take>.wav")
        split = "test" if int(match["take"]) < _TEST_TAKES else "train"
        found[split].append(_one(path, int(match["digit"])))
    if not all(found.values()):
        raise PrunebenchError(f"{root} has no take above 4, or none of 0 to 4 (the test set)")
    return found, DIGITS


def _parquet(root: Path) -> tuple[Recordings, tuple[str, ...]]:
    """Return the recordings of Parquet files with columns audio {bytes, path} and label."""
    tables = {
        split: read_tables(files) for split, files in split_files(root, (".parquet",)).items()
    }
    labels, names = classes(tables, "label")
    highest = max(int(column.max()) for column in labels.values())
    found = {
        split: [_heard(table, row, int(label)) for row, label in enumerate(labels[split])]
        for split, table in tables.items()
    }
    return found, names or tuple(str(number) for number in range(highest + 1))


def _heard(table: Table, row: int, label: int) -> Recording:
    content, name = sound_in(table, row)
    where = table.where(row)
    return Recording(partial(read_sound, content, where), label, where, speaker_of(name))


def _one(path: Path, label: int) -> Recording:
    return Recording(partial(read_sound, path, str(path)), label, str(path), speaker_of(path.name))


def speaker_of(name: str) -> str:
    """Return who speaks by the name of a file, as FSDD and Speech Commands name them; else ""."""
    if match := _NAME.fullmatch(name):
        return match["speaker"]
    return name.partition("_nohash_")[0] if "_nohash_" in name else ""


def _words(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders of words in alphabetical order."""
    words = (
        tuple(
            entry.name
            for entry in sorted(folder.iterdir())
            if entry.is_dir() and not entry.name.startswith((".", "_"))  # _background_noise_
        )
        if folder.is_dir()
        else ()
    )
    if not words:
        raise PrunebenchError(f"{folder} has no folder of a word; path: must be {_WHAT}")
    return words


def _waves(folder: Path) -> list[Path]:
    paths = sorted(path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}"))
    if not paths:
        raise PrunebenchError(f"{folder} holds no {' or '.join(SUFFIXES)} file")
    return paths
