"""Words of the formant synthesizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from prunebench.tasks.sources import spoken_words
from prunebench.tasks.sources.spoken_words import RATE, WORDS, read, speak

from ..conftest import MakeTask


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spoken_words, "RECORDINGS", 200)


def loudness(word: str, low: float, high: float) -> float:
    """Energy of a word between two frequencies, as a share of all, over many voices."""
    total = np.zeros(2)
    for seed in range(30):
        draws = np.random.default_rng(seed)
        signal = speak(word, float(draws.uniform(90, 160)), 1.0, 1.0, draws)
        power = np.abs(np.fft.rfft(signal)) ** 2
        bands = np.fft.rfftfreq(len(signal), 1 / RATE)
        total += power[(bands > low) & (bands < high)].sum(), power.sum()
    return float(total[0] / total[1])


def test_vowels_are_loud_where_their_formants_lie() -> None:
    # of an a at 730 and 1090 Hz, an i at 270 and 2290, an u at 300 and 870
    assert loudness("aaaa", 500, 1300) > 2 * loudness("iiii", 500, 1300)
    assert loudness("iiii", 1900, 2700) > 2 * loudness("uuuu", 1900, 2700)
    assert loudness("uuuu", 150, 450) > 2 * loudness("aaaa", 150, 450)


def test_hisses_are_high() -> None:
    assert loudness("ssss", 2000, 4000) > 2 * loudness("mmmm", 2000, 4000)


@pytest.mark.parametrize("pitch", [100.0, 160.0])
def test_a_voice_repeats_itself_at_its_pitch(pitch: float) -> None:
    periods = []
    for seed in range(40):
        middle = speak("aaaa", pitch, 1.0, 1.0, np.random.default_rng(seed))[1300:2300]
        matches = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        periods.append(40 + matches[40:100].argmax())
    assert RATE / np.median(periods) == pytest.approx(pitch, rel=0.06)


def test_slow_speakers_take_longer() -> None:
    slow, fast = (
        len(speak("banu", 120, 1.0, rate, np.random.default_rng(0))) for rate in (0.8, 1.25)
    )
    assert slow == pytest.approx(fast * 1.25 / 0.8, rel=0.03)


@pytest.mark.usefixtures("few")
def test_recordings_are_the_same_every_time_and_learnable(make_task: MakeTask) -> None:
    raw = read(make_task(source="spoken-words"), Path("unused"))
    assert raw.names == WORDS
    assert raw.train.inputs.shape[:2] == (200, 32)
    assert np.bincount(raw.train.targets).tolist() == [20] * 10
    again = read(make_task(source="spoken-words"), Path("unused"))
    assert np.array_equal(again.train.inputs, raw.train.inputs)
    flat = raw.train.inputs.reshape(200, -1).astype(float)
    nearest = KNeighborsClassifier(1).fit(flat[:150], raw.train.targets[:150])
    assert 0.1 < 1 - nearest.score(flat[150:], raw.train.targets[150:]) < 0.75  # by chance 0.9


@pytest.mark.usefixtures("few")
def test_several_in_a_row(make_task: MakeTask) -> None:
    raw = read(make_task(source="spoken-words", speech={"words": 3}), Path("unused"))
    assert raw.facts == {"target_vocabulary": ("", *WORDS)}
    assert raw.val is not None  # a tenth, of recordings that no row of training holds
    assert (raw.train.targets.shape, raw.val.targets.shape) == ((180, 3), (20, 3))
    # each row begins with the word of its recording: twenty of each
    first = np.concatenate([raw.train.targets[:, 0], raw.val.targets[:, 0]])
    assert np.bincount(first).tolist() == [0, *[20] * 10]
