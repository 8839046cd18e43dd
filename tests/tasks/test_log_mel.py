"""Log-mel images, against what can be said of pure tones, and WAV files, whole and broken."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Speech
from prunebench.tasks.log_mel import (
    RANGE,
    Signal,
    band_energies,
    frames_of,
    log_mel,
    mel,
    mel_filters,
    read_wav,
    resample,
)

RATE = 8000


def tone(frequency: float, seconds: float = 0.5, rate: int = RATE) -> Signal:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def wav(samples: Signal, rate: int = RATE, width: int = 2, channels: int = 1) -> bytes:
    """The bytes of a WAV file, written by the standard library."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        full = 2 ** (8 * width - 1) - 1
        whole = np.rint(samples * full).astype({1: np.int16, 2: "<i2", 4: "<i4"}[width])
        file.writeframes((whole + 128).astype(np.uint8).tobytes() if width == 1 else
                         whole.tobytes())  # fmt: skip
    return buffer.getvalue()


def test_the_mel_scale() -> None:
    assert mel(np.array([0.0, 700.0, 1000.0])) == pytest.approx([0, 2595 * np.log10(2), 1000], 1e-4)


def test_neighbouring_filters_share_every_bin_between_the_outer_peaks() -> None:
    filters = mel_filters(RATE, 1024, 20)
    peaks = filters.argmax(1)
    assert (np.diff(peaks) > 0).all()
    between = filters[:, peaks[0] + 1 : peaks[-1]].sum(0)
    assert between == pytest.approx(np.ones_like(between))
    assert (filters >= 0).all()


@pytest.mark.parametrize("frequency", [200, 440, 1000, 2000, 3500])
def test_a_pure_tone_lights_up_the_band_whose_centre_is_nearest(frequency: float) -> None:
    speech = Speech(mels=24)
    energy = band_energies(tone(frequency), RATE, speech)
    centres = np.linspace(0, float(mel(np.array([4000.0]))[0]), 26)[1:-1]
    nearest = np.abs(centres - mel(np.array([float(frequency)]))[0]).argmin()
    assert (energy.argmax(0) == nearest).all()
    image = log_mel(tone(frequency), RATE, speech, 20)
    assert (image[nearest, :20, 0] >= 250).all()
    assert np.median(image) < 150  # the rest is much weaker


def test_half_the_pressure_is_six_decibels_less() -> None:
    signal = np.concatenate([tone(1000), 0.5 * tone(1000)])
    image = log_mel(signal, RATE, Speech(mels=24), 60).astype(int)
    band = image[..., 0].max(1).argmax()
    fall = image[band, 5, 0] - image[band, 45, 0]
    assert fall == pytest.approx(20 * np.log10(2) / RANGE * 255, abs=1)


def test_loudness_does_not_count_and_silence_is_black() -> None:
    speech = Speech()
    assert np.array_equal(
        log_mel(tone(700), RATE, speech, 20), log_mel(tone(700) / 8, RATE, speech, 20)
    )
    assert not log_mel(np.zeros(4000), RATE, speech, 20).any()


def test_short_recordings_are_padded_with_black_and_long_ones_cut() -> None:
    speech = Speech()
    whole = log_mel(tone(700), RATE, speech, frames_of(4000, RATE, speech))
    assert whole.shape == (32, 30, 1)  # (4000 - 256) // 128 + 1
    padded = log_mel(tone(700), RATE, speech, 40)
    assert np.array_equal(padded[:, :30], whole)
    assert not padded[:, 30:].any()
    assert log_mel(tone(700), RATE, speech, 8).shape == (32, 8, 1)
    assert frames_of(3, RATE, speech) == band_energies(np.ones(3), RATE, speech).shape[1] == 1


def test_resampling_keeps_a_tone() -> None:
    slower = resample(tone(440, rate=16_000), 16_000, RATE)
    assert len(slower) == 4000
    assert slower[200:-200] == pytest.approx(tone(440)[200:-200], abs=0.01)


@pytest.mark.parametrize(("width", "step"), [(1, 1 / 64), (2, 1e-4), (4, 1e-6)])
def test_samples_of_every_width_come_back(width: int, step: float) -> None:
    rate, signal = read_wav(wav(tone(300) * 0.9, width=width), "it")
    assert rate == RATE
    assert signal == pytest.approx(tone(300) * 0.9, abs=step)


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(300), np.zeros(4000)], axis=1).ravel()
    (tmp_path / "a.wav").write_bytes(wav(both, channels=2))
    _, signal = read_wav(tmp_path / "a.wav", "it")
    assert signal == pytest.approx(tone(300) / 2, abs=1e-4)


def test_notes_in_a_file_are_skipped() -> None:
    content = bytearray(wav(tone(300)))
    content += b"LIST" + struct.pack("<I", 4) + b"note"
    content[4:8] = struct.pack("<I", len(content) - 8)
    _, signal = read_wav(bytes(content), "it")
    assert len(signal) == 4000


def _lying(content: bytes) -> bytes:
    return content[:40] + struct.pack("<I", 2**31) + content[44:]


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"\x89PNG\r\n\x1a\n" + bytes(50), wav(tone(300))[:1000], _lying(wav(tone(300)))],
)
def test_what_is_no_whole_wav_file(content: bytes) -> None:
    with pytest.raises(PrunebenchError, match=r"^a\.wav: no readable WAV file \("):
        read_wav(content, "a.wav")


@pytest.mark.parametrize("rate", [1, 999, 384_001, 2**31 - 1])
def test_a_rate_that_is_none_of_sound_fills_no_memory(rate: int) -> None:
    with pytest.raises(PrunebenchError, match="samples a second; sound has 1,000 to 384,000"):
        read_wav(wav(tone(400), rate, width=1), "x.wav")


def test_a_file_without_sound() -> None:
    with pytest.raises(PrunebenchError, match=r"^a\.wav: "):
        read_wav(wav(np.zeros(0)), "a.wav")


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "a.wav", RATE, np.array([0, np.nan, 1], np.float32))
    with pytest.raises(PrunebenchError, match="samples that are no numbers"):
        read_wav(tmp_path / "a.wav", "it")


@given(st.dictionaries(st.integers(0, 60), st.integers(0, 255), max_size=6), st.integers(0, 300))
def test_whatever_the_bytes_are_they_are_read_or_refused(
    changes: dict[int, int], length: int
) -> None:
    content = bytearray(wav(tone(300, seconds=0.01)))
    for place, byte in changes.items():
        content[place] = byte
    try:
        rate, signal = read_wav(bytes(content[:length]), "a.wav")
    except PrunebenchError:
        return
    assert rate > 0
    assert signal.ndim == 1
    assert np.isfinite(signal).all()
