"""Made-up words, spoken by a formant synthesizer (embedded): keywords, or several in a row.

Ten words of four to six sounds. A voice is a sum of harmonics of its pitch, each as loud as the
resonances of the vocal tract (three formants, which glide from sound to sound) make it; hisses are
noise in a band, stops are silence. 60 speakers differ in pitch, length of the vocal tract and
rate; every recording differs in melody, rate of each sound, loudness and background noise. 8,000
samples a second. Small, and with room to overfit: for trying and for tests, not for a paper. The
same versions of numpy and scipy give the same recordings.

One word is an image with a class; ``speech: {words: 4}`` makes one to four words in a row, with
their transcript as target.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prunebench.tasks.raw import Raw
from prunebench.tasks.recordings import Recording, as_classes, as_transcripts

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

RATE = 8000
SPEAKERS, RECORDINGS = 60, 2000
SEED = 20_240_921
STEP = 40  # samples between two settings of the vocal tract: 5 ms
Signal = NDArray[np.float64]

# sound -> formants in Hz (of an average vocal tract), loudness of the voice and of the hiss,
# milliseconds
_SOUNDS = {
    "a": ((730, 1090, 2440), 1.0, 0.0, 120), "e": ((530, 1840, 2480), 1.0, 0.0, 110),
    "i": ((270, 2290, 3010), 0.9, 0.0, 110), "o": ((570, 840, 2410), 1.0, 0.0, 120),
    "u": ((300, 870, 2240), 0.9, 0.0, 110), "m": ((250, 1100, 2200), 0.5, 0.0, 70),
    "n": ((250, 1500, 2500), 0.5, 0.0, 70), "l": ((360, 1300, 2700), 0.6, 0.0, 60),
    "w": ((300, 650, 2200), 0.6, 0.0, 60), "s": ((300, 1700, 3300), 0.0, 0.5, 90),
    "f": ((300, 1200, 2000), 0.0, 0.3, 80), "t": ((350, 1800, 2800), 0.0, 0.05, 50),
    "b": ((250, 900, 2200), 0.1, 0.0, 50),
}  # fmt: skip
WORDS = (
    "banu", "manu", "selo", "felo", "tiwa", "tima", "usal", "ufal", "lotem", "noteb",
)  # fmt: skip


def read(task: Task, folder: Path) -> Raw:
    """Return all recordings as one training split. Read no file."""
    recordings = [
        Recording(partial(_of, signal), label, f"recording {number}", speaker)
        for number, (signal, label, speaker) in enumerate(_said())
    ]
    if task.speech.words is None:
        return as_classes({"train": recordings}, WORDS, task)
    return as_transcripts({"train": recordings}, WORDS, task)


def _of(signal: Signal) -> tuple[int, Signal]:
    return RATE, signal


def _said() -> list[tuple[Signal, int, str]]:
    """Return every recording with the number of its word and its speaker."""
    draws = np.random.default_rng(SEED)
    pitch = np.exp(draws.normal(np.log(150), 0.3, SPEAKERS))
    tract = np.clip(draws.normal(1, 0.09, SPEAKERS), 0.8, 1.25)
    rate = np.exp(draws.normal(0, 0.12, SPEAKERS))
    made = []
    for number in range(RECORDINGS):
        speaker, label = int(draws.integers(SPEAKERS)), number % len(WORDS)
        signal = speak(WORDS[label], pitch[speaker], tract[speaker], rate[speaker], draws)
        made.append((signal, label, f"speaker {speaker}"))
    return made


def speak(word: str, pitch: float, tract: float, rate: float, draws: np.random.Generator) -> Signal:
    """Return a word as a signal of RATE samples a second, at most 1 loud.

    Args:
        word: of the letters of the table of sounds.
        pitch: of the voice in Hz.
        tract: factor on all formants: above 1 for a short vocal tract.
        rate: of speaking: above 1 is faster.
        draws: what differs from recording to recording.
    """
    spans = [_SOUNDS[sound][3] / 1000 / rate * np.exp(draws.normal(0, 0.15)) for sound in word]
    ends = np.cumsum(spans)
    steps = np.arange(0, ends[-1], STEP / RATE)
    middles = ends - np.array(spans) / 2
    shift = tract * np.exp(draws.normal(0, 0.08, (len(word), 3)))  # no sound is said twice alike
    formants = np.array([_SOUNDS[sound][0] for sound in word]) * shift
    glide = np.stack([np.interp(steps, middles, track) for track in formants.T])  # [3, T]
    voice, hiss = (
        np.interp(steps, middles, [_SOUNDS[sound][which] for sound in word]) for which in (1, 2)
    )
    samples = np.arange(int(len(steps) * STEP))
    melody = pitch * (1.08 - 0.16 * samples / len(samples)) * np.exp(draws.normal(0, 0.05))
    signal = _voiced(melody, glide, voice) + _hissed(len(samples), glide[2], hiss, draws)
    signal /= max(np.abs(signal).max(), 1e-9)
    noise = 10 ** (-draws.uniform(3, 20) / 20) * np.sqrt(np.mean(signal**2))
    signal = signal * draws.uniform(0.3, 1) + draws.normal(0, noise, len(signal))
    return signal / max(np.abs(signal).max(), 1)


def _voiced(melody: Signal, glide: Signal, loudness: Signal) -> Signal:
    """Return a sum of harmonics: each as loud as the three resonances make it.

    Args:
        melody: pitch in Hz at every sample [N].
        glide: formants in Hz at every step [3, T].
        loudness: at every step [T].
    """
    whole, part = np.divmod(np.arange(len(melody)), STEP)
    part = part / STEP
    step = np.exp(2j * np.pi * np.cumsum(melody) / RATE)  # by which harmonic k turns beyond k - 1
    slow = melody[::STEP][: glide.shape[1]]
    signal, turned = np.zeros(len(melody)), np.ones(len(melody), np.complex128)
    widths = np.array([[70.0], [100.0], [150.0]])  # of the resonances, in Hz
    strength = np.array([[1.0], [0.5], [0.25]])
    for harmonic in range(1, int(RATE / 2 / melody.max()) + 1):
        distance = (harmonic * slow - glide) / widths
        gain = (strength / (1 + distance**2)).sum(0) * loudness
        gain = np.append(gain, gain[-1])
        turned *= step
        signal += (gain[whole] + part * (gain[whole + 1] - gain[whole])) * turned.imag
    return signal


def _hissed(count: int, centre: Signal, loudness: Signal, draws: np.random.Generator) -> Signal:
    """Return noise [count] above the sounds' third formant, as loud as ``loudness`` says."""
    from scipy.signal import butter, lfilter

    noise = draws.normal(0, 0.6, count)
    low = float(np.clip(np.mean(centre) * 0.8, 500, 3500))
    filtered = lfilter(*butter(2, low / (RATE / 2), "high"), noise)
    return filtered * np.interp(np.arange(count) / STEP, np.arange(len(loudness)), loudness)
