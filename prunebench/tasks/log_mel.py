"""Recordings as images: the logarithm of the energy in bands of the mel scale, over time."""

from __future__ import annotations

import io
import struct
import warnings
from functools import cache
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.tasks.raw import Images, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings.task import Speech

Signal = NDArray[np.float64]  # samples in [-1, 1]

RATES = 1000, 384_000  # samples a second that sound is recorded with, as for speech: rate
RANGE = 80.0  # dB below a recording's loudest band that are told apart: the rest is silence


def read_wav(source: Path | bytes, where: str) -> tuple[int, Signal]:
    """Return the samples a second and the signal of a WAV file; several channels are averaged.

    Raises:
        PrunebenchError: the bytes are no WAV file, are fewer than its header says, hold no sample,
            are compressed, or their rate is none of sound.
    """
    from scipy.io import wavfile

    if isinstance(source, Path):
        require_plain(source)
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        if missing := missing_bytes(content):
            raise ValueError(f"{missing} bytes fewer than its header says")
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)
            # files of many programs hold notes on the recording, which are skipped
            warnings.filterwarnings("ignore", "Chunk .non-data. not understood")
            rate, samples = wavfile.read(io.BytesIO(content))
    # what scipy raises for damaged bytes is no closed set: struct.error, ValueError, OSError …
    except Exception as error:
        raise PrunebenchError(f"{where}: no readable WAV file ({one_line(error)})") from error
    if samples.size == 0 or rate <= 0:
        raise PrunebenchError(f"{where}: the WAV file holds no sound")
    if not RATES[0] <= rate <= RATES[1]:  # filters for a rate that is made up would fill the memory
        raise PrunebenchError(
            f"{where}: the WAV file says {rate:,} samples a second; sound has {RATES[0]:,} to"
            f" {RATES[1]:,}"
        )
    signal = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        signal = (signal - 128) / 128
    elif samples.dtype.kind == "i":
        signal /= -float(np.iinfo(samples.dtype).min)
    if not np.isfinite(signal).all():
        raise PrunebenchError(f"{where}: the WAV file holds samples that are no numbers")
    return int(rate), signal if signal.ndim == 1 else signal.mean(axis=1)


def missing_bytes(content: bytes) -> int:
    """Return how many bytes fewer there are than the chunks of a WAV file claim."""
    at = 12  # behind "RIFF", the size of all, and "WAVE"
    while at + 8 <= len(content):
        (size,) = struct.unpack_from("<I", content, at + 4)
        if at + 8 + size > len(content):
            return int(at + 8 + size - len(content))
        at += 8 + size + size % 2
    return 0


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
