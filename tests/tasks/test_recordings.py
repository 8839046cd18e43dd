"""Recordings as images of one word, or of several in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Task
from prunebench.tasks import raw
from prunebench.tasks.log_mel import log_mel
from prunebench.tasks.recordings import Recording, _apart, as_classes, as_transcripts
from prunebench.tasks.sound_files import Signal

from .conftest import MakeTask

RATE = 8000
TONES = (500.0, 2000.0)  # a word is a tone here


def said(label: int, seconds: float = 0.3, rate: int = RATE, speaker: str = "") -> Recording:
    signal = np.sin(2 * np.pi * TONES[label] * np.arange(int(seconds * rate)) / rate)
    return Recording(lambda: (rate, signal), label, f"{label} of {speaker!r}", speaker)


def signal_of(recording: Recording) -> Signal:
    return recording.sound()[1]


def test_one_word_each(make_task: MakeTask) -> None:
    task = make_task()
    found = {"train": [said(0), said(1, 0.2)], "test": [said(1, 0.5)]}
    read = as_classes(found, ("low", "high"), task)
    assert read.names == ("low", "high")
    assert read.test is not None
    assert read.train.inputs.shape == (2, 32, 17, 1)  # of the longest, (2400 - 256) // 128 + 1
    assert read.test.inputs.shape == (1, 32, 17, 1)  # cut
    assert (read.train.targets.tolist(), read.test.targets.tolist()) == ([0, 1], [1])
    assert np.array_equal(read.train.inputs[0], log_mel(signal_of(said(0)), RATE, task.speech, 17))
    assert as_classes(found, ("low", "high"), make_task(length=9)).train.inputs.shape[2] == 9


def test_words_in_a_row_are_those_of_the_transcript(make_task: MakeTask) -> None:
    task = make_task(speech={"words": 3, "mels": 24})
    found = {"train": [said(number % 2, speaker=f"s{number % 3}") for number in range(60)]}
    read = as_transcripts(found, ("low", "high"), task)
    assert read.facts == {"target_vocabulary": ("", "low", "high")}
    assert read.train.targets.shape == (54, 3)  # a tenth is for validation
    counts = (read.train.targets > 0).sum(1)
    assert set(counts.tolist()) == {1, 2, 3}
    low, high = (
        log_mel(signal_of(said(n)), RATE, task.speech, 9)[..., 0].max(1).argmax() for n in (0, 1)
    )
    for image, target in zip(read.train.inputs[..., 0], read.train.targets, strict=True):
        heard = [
            number
            for frame in image.T
            for number in [1 if frame[low] > 200 else 2 if frame[high] > 200 else 0]
        ]
        # frames of one word, then silence, then frames of the next
        runs = [now for before, now in zip([0, *heard], heard, strict=False) if now and not before]
        assert runs == target[target > 0].tolist()
        assert not (np.diff((target == 0).astype(int)) < 0).any()


def test_a_row_has_words_of_one_speaker(make_task: MakeTask) -> None:
    task = make_task(speech={"words": 4})
    # the first speaker says the one word only, the second the other
    found = {"train": [said(number % 2, 0.1, speaker=f"s{number % 2}") for number in range(40)]}
    targets = as_transcripts(found, ("low", "high"), task).train.targets
    assert all(len(set(row[row > 0].tolist())) == 1 for row in targets)


def test_rows_are_the_same_every_time(make_task: MakeTask) -> None:
    task = make_task(speech={"words": 4})
    found = {"train": [said(number % 2, 0.1) for number in range(10)]}
    first, second = (as_transcripts(found, ("low", "high"), task).train for _ in range(2))
    assert np.array_equal(first.inputs, second.inputs)
    assert np.array_equal(first.targets, second.targets)


def test_another_rate_is_refused_unless_resampling_is_asked_for(make_task: MakeTask) -> None:
    found = {"train": [said(0), said(1)], "test": [said(1, rate=16_000, speaker="other")]}
    with pytest.raises(PrunebenchError, match=r"^1 of 'other': 16000 samples a second, 0 of '' h"):
        as_classes(found, ("low", "high"), make_task())
    read = as_classes(found, ("low", "high"), make_task(speech={"rate": RATE}))
    assert read.test is not None
    difference = read.train.inputs[1].astype(int) - read.test.inputs[0].astype(int)
    loud = read.train.inputs[1] > 180
    assert np.abs(difference[loud]).max() <= 3


def test_bands_that_would_always_be_silent(make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match="200 bands are too many for a window of 32 ms at 8"):
        as_classes({"train": [said(0)]}, ("low",), make_task(speech={"mels": 200}))


def test_images_that_do_not_fit(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "memory", lambda: 2**20)
    with pytest.raises(PrunebenchError, match="1 recordings of 100,000 frames: decoded"):
        as_classes({"train": [said(0)]}, ("low",), make_task(length=100_000))


def test_signals_are_read_one_at_a_time(make_task: MakeTask) -> None:
    """A hundred thousand recordings do not fit into memory."""
    alive: list[int] = []

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive.append(-1)

    def sound() -> tuple[int, Signal]:
        alive.append(1)
        assert sum(alive) <= 2
        return RATE, np.ones(3000).view(Counted)

    found = {"train": [Recording(sound, 0, "it") for _ in range(20)]}
    as_classes(found, ("one",), make_task())
    as_transcripts(found, ("one",), make_task(speech={"words": 1}))
    assert alive.count(1) >= 40


def test_no_word_of_a_transcript_is_cut_off(make_task: MakeTask) -> None:
    found = {"train": [said(0, 0.2)], "test": [said(1, 0.5)]}
    read = as_transcripts(found, ("low", "high"), make_task(speech={"words": 1}))
    assert read.train.inputs.shape[2] == 30  # of the longest of all, (4000 - 256) // 128 + 1
    with pytest.raises(PrunebenchError, match=r"length: 20 frames would cut words off .* takes 30"):
        as_transcripts(found, ("low", "high"), make_task(length=20, speech={"words": 1}))


def test_no_recording_is_heard_in_two_splits() -> None:
    """Rows of words are joined of the recordings of one split."""
    recordings = {"train": [_Named(str(number)) for number in range(50)]}
    task = Task(name="t", source="spoken-words", val=0.2, test=10)
    found = _apart(recordings, task)
    assert {split: len(each) for split, each in found.items()} == {
        "train": 32, "test": 10, "val": 8,
    }  # fmt: skip
    names = [one.name for each in found.values() for one in each]
    assert sorted(names) == sorted(one.name for one in recordings["train"])
    assert _apart(found, task) == found  # a source's own splits stay


@dataclass(frozen=True)
class _Named:
    name: str
