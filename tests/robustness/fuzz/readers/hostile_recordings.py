"""Recordings and their transcripts, prepared."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import damaged_bytes
from tests.robustness.fuzz.readers.prepared_set import prepared


def _sound(form: str, subtype: str, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    signal = 0.5 * np.sin(np.arange(1200) / 5)[:, None].repeat(channels, 1)
    soundfile.write(buffer, signal, 8000, format=form, subtype=subtype)
    return buffer.getvalue()


def recordings(folder: Path) -> Reader:
    """WAV and FLAC in the layout of LibriSpeech, with a transcript."""
    seeds = [_sound("WAV", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW")] + [
        _sound("FLAC", kind, both) for kind in ("PCM_S8", "PCM_16", "PCM_24") for both in (1, 2)
    ]
    place = folder / "set" / "train" / "1" / "2"
    place.mkdir(parents=True)
    good = _sound("FLAC", "PCM_16")
    for number in range(8):
        other = _sound("FLAC", "PCM_24", 2) if number % 2 else good
        (place / f"1-2-{number}.flac").write_bytes(other)
    lines = "".join(f"1-2-{number} {'AB' if number % 3 else 'BA A'}\n" for number in range(8))
    prepare = prepared(
        folder, source="transcribed-speech", kind="speech-recognition", tokens="characters",
        path=str(folder / "set"),
    )  # fmt: skip

    def read(given: tuple[bytes, bytes]) -> None:
        sound, transcript = given
        (place / "1-2-0.flac").write_bytes(sound)
        (place / "1-2.trans.txt").write_bytes(transcript)
        prepare()

    texts = [lines.encode(), lines.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + lines.encode()]
    return st.tuples(damaged_bytes(seeds), st.just(texts[0])) | st.tuples(
        st.just(good), damaged_bytes(texts)
    ), read
