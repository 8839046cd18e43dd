"""Recordings of words as log-mel images: one word with its class, or several with a transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.tasks.log_mel import frames_of, log_mel, mel_filters, resample
from prunebench.tasks.raw import Images, Raw, Split, check_fits
from prunebench.tasks.sound_files import Signal
from prunebench.tasks.stratified import permuter

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SEED = 20_240_922
GAPS = (0.05, 0.25)  # seconds of silence between two words in a row


class Sounding(Protocol):
    """What can be heard: what reads its samples a second and its signal, and its place."""

    @property
    def sound(self) -> Callable[[], tuple[int, Signal]]: ...

    @property
    def where(self) -> str: ...  # for messages


@dataclass(frozen=True, eq=False)
class Recording:
    """One word: what reads its samples a second and its signal, its class, and who says it.

    The signals of a large set would not fit into memory: each is read when it is needed.
    """

    sound: Callable[[], tuple[int, Signal]]
    label: int
    where: str  # for messages
    speaker: str = ""


@dataclass(frozen=True)
class Hearing:
    """The rate at which all recordings are heard; others are resampled only where it is asked."""

    rate: int
    resampled: bool
    first: str  # the recording that the rate is of, for messages

    def __call__(self, recording: Sounding) -> Signal:
        """Return the signal of a recording; raise PrunebenchError if it has another rate."""
        rate, signal = recording.sound()
        if rate == self.rate:
            return signal
        if not self.resampled:
            raise PrunebenchError(
                f"{recording.where}: {rate} samples a second, {self.first} has {self.rate}; set"
                " speech: {rate: …} to resample all to one rate"
            )
        check_fits(8 * len(signal) * self.rate // rate, recording.where)
        return resample(signal, rate, self.rate)


Recordings = dict[str, list[Recording]]  # by split, with "train"
Row = tuple[list[Recording], list[float]]  # words, and seconds of silence after each but the last


def as_classes(recordings: Recordings, names: tuple[str, ...], task: Task) -> Raw:
    """Return one image for each recording, with the class of its word.

    Raises:
        PrunebenchError: recordings differ in rate, or the images do not fit into memory.
    """
    hear = hearing(recordings["train"][0], task)
    signals = {split: [partial(hear, one) for one in found] for split, found in recordings.items()}
    frames = _frames(signals["train"], hear.rate, task)
    splits = {
        split: Split(
            _images(signals[split], hear.rate, frames, task),
            np.array([one.label for one in found], np.int64),
        )
        for split, found in recordings.items()
    }
    return Raw(splits["train"], splits.get("val"), splits.get("test"), names, item="recording")


def as_transcripts(recordings: Recordings, names: tuple[str, ...], task: Task) -> Raw:
    """Return images of one to ``speech.words`` words in a row, with their numbers from 1 on.

    Words of one speaker are joined, with short silences between them; as many rows of words are
    made as there are recordings, from those of the same split.

    Raises:
        PrunebenchError: recordings differ in rate, ``length`` would cut words off, or the images
            do not fit into memory.
    """
    recordings = _apart(recordings, task)
    hear = hearing(recordings["train"][0], task)
    most = task.speech.words or 1
    rows = {
        split: _rows(found, most, np.random.default_rng((SEED, stream)))
        for stream, (split, found) in enumerate(recordings.items())
    }
    signals = {
        split: [partial(_joined, row, hear) for row in found] for split, found in rows.items()
    }
    texts = {
        split: [[word.label + 1 for word in words] for words, _ in found]
        for split, found in rows.items()
    }
    longest = max(len(signal()) for found in signals.values() for signal in found)
    facts = {"target_vocabulary": ("", *names)}
    return transcribed(signals, texts, most, longest, facts, hear.rate, task)


def transcribed(
    signals: Mapping[str, Sequence[Callable[[], Signal]]],
    texts: Mapping[str, Sequence[Sequence[int]]],
    most: int,
    longest: int,
    facts: dict[str, Any],
    rate: int,
    task: Task,
) -> Raw:
    """Return images of signals with the numbers of what is said in them, padded with 0.

    Args:
        signals: by split, with ``train``.
        texts: of each signal, what is said: numbers from 1 on.
        most: how many there are in the longest text.
        longest: how many samples the longest signal has.
        facts: of the task, with its ``target_vocabulary``.
        rate: samples a second of all signals.
        task: how recordings become images, and how long these are.

    Raises:
        PrunebenchError: ``length`` would cut off what the transcript has, or the images do not fit
            into memory.
    """
    needed = frames_of(longest, rate, task.speech)
    frames = task.length or needed
    if frames < needed:
        raise PrunebenchError(
            f"task {task.name!r}: length: {frames} frames would cut words off that the transcript"
            f" has; the longest recording takes {needed}"
        )
    splits = {}
    for split, found in texts.items():
        targets = np.zeros((len(found), most), np.int32)
        for target, text in zip(targets, found, strict=True):
            target[: len(text)] = text
        splits[split] = Split(_images(signals[split], rate, frames, task), targets)
    return Raw(
        splits["train"], splits.get("val"), splits.get("test"), facts=facts, item="recording"
    )


def hearing(first: Sounding, task: Task) -> Hearing:
    """Return the rate that the task asks for, or the first recording has.

    Raises:
        PrunebenchError: some bands of the images would always be silent.
    """
    speech = task.speech
    rate = speech.rate or first.sound()[0]
    if round(rate * speech.hop / 1000) < 1:
        raise PrunebenchError(
            f"task {task.name!r}: speech.hop: {speech.hop:g} ms is less than one of {rate} samples"
            " a second"
        )
    size = 1 << (round(rate * speech.window / 1000) - 1).bit_length()
    if size < 4 or (mel_filters(rate, size, speech.mels).sum(1) == 0).any():
        raise PrunebenchError(
            f"task {task.name!r}: {speech.mels} bands are too many for a window of"
            f" {speech.window:g} ms at {rate} samples a second: lower speech.mels or widen"
            " speech.window"
        )
    return Hearing(rate, speech.rate is not None, first.where)


def _frames(signals: Iterable[Callable[[], Signal]], rate: int, task: Task) -> int:
    """Return how many frames images have: those of the longest signal if the task says nothing."""
    return task.length or max(frames_of(len(signal()), rate, task.speech) for signal in signals)


def _images(signals: Sequence[Callable[[], Signal]], rate: int, frames: int, task: Task) -> Images:
    size = task.speech.mels * frames * len(signals)
    check_fits(
        size, f"task {task.name!r}: {len(signals):,} recordings of {frames:,} frames",
        "length: cuts recordings",
    )  # fmt: skip
    images = np.empty((len(signals), task.speech.mels, frames, 1), np.uint8)
    for image, signal in zip(images, signals, strict=True):
        image[:] = log_mel(signal(), rate, task.speech, frames)
    return images


def _apart(recordings: Recordings, task: Task) -> Recordings:
    """Return recordings with splits of their own, so that no recording is heard in two of them.

    Validation and test come out of training where the source has none, before words are joined.
    """
    found = dict(recordings)
    for stream, (split, wanted) in enumerate((("test", task.test), ("val", task.val))):
        if split in found or wanted is None:
            continue
        rest = found["train"]
        count = round(wanted * len(rest)) if isinstance(wanted, float) else wanted
        if not 0 < count < len(rest):
            continue  # what is too small or too large is refused where splits are made
        order = permuter(task.split_seed, stream)(len(rest))
        found[split] = [rest[place] for place in sorted(order[:count])]
        found["train"] = [rest[place] for place in sorted(order[count:])]
    return found


def _rows(recordings: Sequence[Recording], most: int, draws: np.random.Generator) -> list[Row]:
    """Return rows of words of one speaker each: every recording begins one."""
    of_speaker: dict[str, list[Recording]] = {}
    for one in recordings:
        of_speaker.setdefault(one.speaker, []).append(one)
    rows = []
    for first in recordings:
        own = of_speaker[first.speaker]
        others = draws.integers(len(own), size=draws.integers(0, most))
        words = [first, *(own[int(other)] for other in others)]
        rows.append((words, draws.uniform(*GAPS, len(words) - 1).tolist()))
    return rows


def _joined(row: Row, hear: Hearing) -> Signal:
    words, gaps = row
    parts = [hear(words[0])]
    for gap, word in zip(gaps, words[1:], strict=True):
        parts += [np.zeros(int(hear.rate * gap)), hear(word)]
    return np.concatenate(parts)
