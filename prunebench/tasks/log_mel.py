"""Recordings as images: the logarithm of the energy in bands of the mel scale, over time."""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prunebench.tasks.raw import Images
from prunebench.tasks.sound_files import Signal

if TYPE_CHECKING:
    from prunebench.experiment.settings.task import Speech

RANGE = 80.0  # dB below a recording's loudest band that are told apart: the rest is silence


def resample(signal: Signal, rate: int, wanted: int) -> Signal:
    """Return a signal of ``rate`` samples a second at ``wanted`` (polyphase filter)."""
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return resample_poly(signal, wanted // common, rate // common)


def mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies in Hz on the mel scale of O'Shaughnessy: 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + frequency / 700)


@cache
def mel_filters(rate: int, window: int, mels: int) -> NDArray[np.float64]:
    """Return triangles [mels, bins] over the bins of a Fourier transform of ``window`` samples.

    Their corners are equally spaced on the mel scale, from 0 to half the rate; each peaks at 1
    between its bins.
    """
    top = mel(np.array([rate / 2]))[0]
    corners = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(window, 1 / rate)
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def band_energies(signal: Signal, rate: int, speech: Speech) -> NDArray[np.float64]:
    """Return the energy [mels, frames] in each band and Hann window.

    Args:
        signal: one recording.
        rate: its samples a second.
        speech: number of bands, and milliseconds of a window and between two.
    """
    window, hop = round(rate * speech.window / 1000), round(rate * speech.hop / 1000)
    padded = np.pad(signal, (0, max(window - len(signal), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    size = 1 << (window - 1).bit_length()  # a power of two: bands between bins get energy, too
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2
    return mel_filters(rate, size, speech.mels) @ spectrum.T


def frames_of(samples: int, rate: int, speech: Speech) -> int:
    """Return how many frames a recording of so many samples gives."""
    window, hop = round(rate * speech.window / 1000), round(rate * speech.hop / 1000)
    return max(samples - window, 0) // hop + 1


def log_mel(signal: Signal, rate: int, speech: Speech, frames: int) -> Images:
    """Return one recording as bytes [mels, frames, 1]: 255 its loudest, 0 silence and padding.

    Rows go from the lowest band to the highest. A longer recording is cut at the end.
    """
    energy = band_energies(signal, rate, speech)[:, :frames]
    decibels = 10 * np.log10(np.maximum(energy / max(energy.max(), 1e-12), 1e-12))
    pixels = np.zeros((speech.mels, frames, 1), np.uint8)
    scaled = np.clip(1 + decibels / RANGE, 0, 1) * 255
    pixels[:, : scaled.shape[1], 0] = np.rint(scaled) if energy.max() > 0 else 0
    return pixels
