"""Files of sound, whole and broken; written by the standard library and by libsndfile."""

from __future__ import annotations

import hashlib
import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.tasks.sound_files import Signal, read_sound

RATE = 8000


def tone(frequency: float, seconds: float = 0.5) -> Signal:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


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


def flac(samples: Signal, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "step"), [(1, 1 / 64), (2, 1e-4), (4, 1e-6)])
def test_samples_of_every_width_come_back(width: int, step: float) -> None:
    rate, signal = read_sound(wav(tone(300) * 0.9, width=width), "it")
    assert rate == RATE
    assert signal == pytest.approx(tone(300) * 0.9, abs=step)


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(300), np.zeros(4000)], axis=1).ravel()
    (tmp_path / "a.wav").write_bytes(wav(both, channels=2))
    _, signal = read_sound(tmp_path / "a.wav", "it")
    assert signal == pytest.approx(tone(300) / 2, abs=1e-4)


def test_notes_in_a_file_are_skipped() -> None:
    content = bytearray(wav(tone(300)))
    content += b"LIST" + struct.pack("<I", 4) + b"note"
    content[4:8] = struct.pack("<I", len(content) - 8)
    _, signal = read_sound(bytes(content), "it")
    assert len(signal) == 4000


def _lying(content: bytes) -> bytes:
    return content[:40] + struct.pack("<I", 2**31) + content[44:]


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"\x89PNG\r\n\x1a\n" + bytes(50), wav(tone(300))[:1000], _lying(wav(tone(300)))],
)
def test_what_is_no_whole_wav_file(content: bytes) -> None:
    with pytest.raises(PrunebenchError, match=r"^a\.wav: no readable WAV file \("):
        read_sound(content, "a.wav")


@pytest.mark.parametrize("rate", [1, 999, 384_001, 2**31 - 1])
def test_a_rate_that_is_none_of_sound_fills_no_memory(rate: int) -> None:
    with pytest.raises(PrunebenchError, match="samples a second; sound has 1,000 to 384,000"):
        read_sound(wav(tone(400), rate, width=1), "x.wav")


def test_a_file_without_sound() -> None:
    with pytest.raises(PrunebenchError, match=r"^a\.wav: "):
        read_sound(wav(np.zeros(0)), "a.wav")


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "a.wav", RATE, np.array([0, np.nan, 1], np.float32))
    with pytest.raises(PrunebenchError, match="samples that are no numbers"):
        read_sound(tmp_path / "a.wav", "it")


@given(st.dictionaries(st.integers(0, 60), st.integers(0, 255), max_size=6), st.integers(0, 300))
def test_whatever_the_bytes_are_they_are_read_or_refused(
    changes: dict[int, int], length: int
) -> None:
    content = bytearray(wav(tone(300, seconds=0.01)))
    for place, byte in changes.items():
        content[place] = byte
    try:
        rate, signal = read_sound(bytes(content[:length]), "a.wav")
    except PrunebenchError:
        return
    assert rate > 0
    assert signal.ndim == 1
    assert np.isfinite(signal).all()


@pytest.mark.parametrize(
    ("subtype", "step"), [("PCM_S8", 1 / 128), ("PCM_16", 2**-15), ("PCM_24", 2**-23)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_of_every_width_comes_back(
    tmp_path: Path, subtype: str, step: float, channels: int
) -> None:
    both = np.stack([tone(300) * 0.9, tone(500) * 0.5][:channels], axis=1)
    (tmp_path / "a.wav").write_bytes(flac(both, 16_000, subtype))  # bytes say what it is
    rate, signal = read_sound(tmp_path / "a.wav", "it")
    assert rate == 16_000
    assert signal == pytest.approx(both.mean(1), abs=step)


def test_flac_is_to_the_bit_what_wav_is() -> None:
    exact = np.rint(tone(300) * 30_000).astype(np.int16)
    content = flac(exact)
    assert content[26:42] == hashlib.md5(exact.astype("<i2").tobytes()).digest()
    assert np.array_equal(read_sound(content, "it")[1], exact / 32768)
    assert np.array_equal(read_sound(wav(exact / 32767), "it")[1], exact / 32768)


def _said_samples(content: bytes, samples: int, summed: bool = True) -> bytes:
    """The file with another count of samples (36 bits of its first block), or without its sum."""
    changed = bytearray(content)
    changed[21] = changed[21] & 0xF0 | samples >> 32
    changed[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)
    if not summed:
        changed[26:42] = bytes(16)
    return bytes(changed)


WHOLE = flac(tone(300))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[: len(WHOLE) // 2], "no readable FLAC file ("),
        (WHOLE[:300] + bytes([WHOLE[300] ^ 255]) + WHOLE[301:], "no readable FLAC file ("),
        (WHOLE[:26] + b"0" + WHOLE[27:], "(its samples are not those that were written)"),
        (_said_samples(WHOLE, 3000), "(its samples are not those that were written)"),
        (_said_samples(WHOLE, 5000, summed=False), "no readable FLAC file ("),
        (_said_samples(WHOLE, 0), "(its header does not say how many samples it has"),
        (_said_samples(WHOLE, (1 << 36) - 1), "this would take 1,536.0 GiB of memory"),
        (b"fLaC", "no readable FLAC file (Format not recognised.)"),
        (flac(tone(300), 500), "the FLAC file says 500 samples a second; sound has 1,000 to"),
    ],
)
def test_broken_flac_is_refused_in_a_line(content: bytes, message: str) -> None:
    with pytest.raises(PrunebenchError, match=r"^a: ") as caught:
        read_sound(content, "a")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.integers(0, 120), st.integers(0, 255), max_size=6), st.integers(0, 4000))
def test_whatever_the_bytes_of_flac_are_they_are_read_or_refused(
    changes: dict[int, int], length: int
) -> None:
    content = bytearray(WHOLE)
    for place, byte in changes.items():
        content[place] = byte
    try:
        rate, signal = read_sound(bytes(content[:length]), "a.flac")
    except PrunebenchError:
        return
    assert rate > 0
    assert signal.ndim == 1
    assert np.isfinite(signal).all()
