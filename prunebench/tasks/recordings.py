"""Recordings of words as log-mel images: one word with its class, or several with a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.tasks.log_mel import Signal, frames_of, log_mel, mel_filters, resample
from prunebench.tasks.raw import Images, Raw, Split, check_fits

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SEED = 20_240_922
GAPS = (0.05, 0.25)  # seconds of silence between two words in a row


@dataclass(frozen=True, eq=False)
class Recording:
    """One word: samples a second, the signal, its class, its name for messages, and who says it."""

    rate: int
    signal: Signal
    label: int
    where: str
    speaker: str = ""


Recordings = dict[str, list[Recording]]  # by split, with "train"


def as_classes(recordings: Recordings, names: tuple[str, ...], task: Task) -> Raw:
    """Return one image for each recording, with the class of its word.

    Raises:
        PrunebenchError: recordings differ in rate, or the images do not fit into memory.
    """
    heard = {split: _at_one_rate(found, task) for split, found in recordings.items()}
    rate = _check_rates(heard, task)
    splits = {
        split: Split(
            _images([one.signal for one in found], rate, _frames(heard, rate, task), task),
            np.array([one.label for one in found], np.int64),
        )
        for split, found in heard.items()
    }
    return Raw(splits["train"], splits.get("val"), splits.get("test"), names, item="recording")


def as_transcripts(recordings: Recordings, names: tuple[str, ...], task: Task) -> Raw:
    """Return images of one to ``speech.words`` words in a row, with their numbers from 1 on.

    Words of one speaker are joined, with short silences between them; as many rows of words are
    made as there are recordings, from those of the same split.

    Raises:
        PrunebenchError: recordings differ in rate, or the images do not fit into memory.
    """
    heard = {split: _at_one_rate(found, task) for split, found in recordings.items()}
    rate = _check_rates(heard, task)
    most = task.speech.words or 1
    joined = {
        split: _join(found, rate, most, np.random.default_rng((SEED, stream)))
        for stream, (split, found) in enumerate(heard.items())
    }
    longest = max(len(signal) for signal, _ in joined["train"])
    frames = task.length or frames_of(longest, rate, task.speech)
    splits = {}
    for split, rows in joined.items():
        targets = np.zeros((len(rows), most), np.int32)
        for row, (_, labels) in zip(targets, rows, strict=True):
            row[: len(labels)] = np.array(labels) + 1
        splits[split] = Split(_images([signal for signal, _ in rows], rate, frames, task), targets)
    facts = {"target_vocabulary": ("", *names)}
    return Raw(
        splits["train"], splits.get("val"), splits.get("test"), facts=facts, item="recording"
    )


def _at_one_rate(recordings: Sequence[Recording], task: Task) -> list[Recording]:
    """Return recordings at the task's rate, where it asks for one."""
    wanted = task.speech.rate
    return [
        one
        if wanted in (None, one.rate)
        else Recording(
            wanted, resample(one.signal, one.rate, wanted), one.label, one.where, one.speaker
        )
        for one in recordings
    ]


def _check_rates(heard: Recordings, task: Task) -> int:
    """Return the rate that all recordings have; refuse bands that would always be silent."""
    first = heard["train"][0]
    for found in heard.values():
        for one in found:
            if one.rate != first.rate:
                raise PrunebenchError(
                    f"{one.where}: {one.rate} samples a second, {first.where} has {first.rate};"
                    " set speech: {rate: …} to resample all to one rate"
                )
    size = 1 << (round(first.rate * task.speech.window / 1000) - 1).bit_length()
    if size < 4 or (mel_filters(first.rate, size, task.speech.mels).sum(1) == 0).any():
        raise PrunebenchError(
            f"task {task.name!r}: {task.speech.mels} bands are too many for a window of"
            f" {task.speech.window:g} ms at {first.rate} samples a second: lower speech.mels or"
            " widen speech.window"
        )
    return first.rate


def _frames(heard: Recordings, rate: int, task: Task) -> int:
    longest = max(len(one.signal) for one in heard["train"])
    return task.length or frames_of(longest, rate, task.speech)


def _images(signals: Sequence[Signal], rate: int, frames: int, task: Task) -> Images:
    size = task.speech.mels * frames * len(signals)
    check_fits(size, f"task {task.name!r}: {len(signals):,} recordings of {frames:,} frames")
    images = np.empty((len(signals), task.speech.mels, frames, 1), np.uint8)
    for index, signal in enumerate(signals):
        images[index] = log_mel(signal, rate, task.speech, frames)
    return images


def _join(
    recordings: Sequence[Recording], rate: int, most: int, draws: np.random.Generator
) -> list[tuple[Signal, list[int]]]:
    """Return rows of words of one speaker each: the signal, and the classes of the words."""
    of_speaker: dict[str, list[Recording]] = {}
    for one in recordings:
        of_speaker.setdefault(one.speaker, []).append(one)
    rows = []
    for first in recordings:
        own = of_speaker[first.speaker]
        others = draws.integers(len(own), size=draws.integers(0, most))
        words = [first, *(own[int(other)] for other in others)]
        parts: list[Signal] = []
        for word in words:
            parts += [word.signal, np.zeros(int(rate * draws.uniform(*GAPS)))]
        rows.append((np.concatenate(parts[:-1]), [word.label for word in words]))
    return rows
