"""Files of sound as signals: WAV by SciPy, FLAC by libsndfile, each read whole or refused."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.tasks.raw import check_fits, one_line

Signal = NDArray[np.float64]  # samples in [-1, 1]

SUFFIXES = (".wav", ".flac")
RATES = 1000, 384_000  # samples a second that sound is recorded with, as for speech: rate
_FLAC = b"fLaC"
_BITS = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}  # of a sample of FLAC, as libsndfile says it
# of the sum of a FLAC file's samples (RFC 9639, section 8.2): behind the magic number, the header
# of the block and 18 bytes of it; zeros where the encoder wrote none
_SUM = slice(26, 42)
_MOST = (1 << 36) - 1  # samples that its header can say


def read_sound(source: Path | bytes, where: str) -> tuple[int, Signal]:
    """Return the samples a second and the signal of a WAV or FLAC file; channels are averaged.

    Args:
        source: the file, or its bytes; which of the two formats it is, these say, not its name.
        where: what messages call it.

    Raises:
        PrunebenchError: it is neither, cannot be decoded, holds fewer samples than its header says
            or others than its sum says, holds no sample, or its rate is none of sound.
    """
    if isinstance(source, Path):
        require_plain(source)
    form = "WAV"
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        form = "FLAC" if content.startswith(_FLAC) else form
        rate, signal = (_read_flac if form == "FLAC" else _read_wav)(content, where)
    except PrunebenchError:
        raise
    # what libraries raise for damaged bytes is no closed set: struct.error, ValueError, OSError …
    except Exception as error:
        raise PrunebenchError(f"{where}: no readable {form} file ({one_line(error)})") from error
    if signal.size == 0 or rate <= 0:
        raise PrunebenchError(f"{where}: the {form} file holds no sound")
    if not RATES[0] <= rate <= RATES[1]:  # filters for a rate that is made up would fill the memory
        raise PrunebenchError(
            f"{where}: the {form} file says {rate:,} samples a second; sound has {RATES[0]:,} to"
            f" {RATES[1]:,}"
        )
    if not np.isfinite(signal).all():
        raise PrunebenchError(f"{where}: the {form} file holds samples that are no numbers")
    return int(rate), signal if signal.ndim == 1 else signal.mean(axis=1)


def _read_wav(content: bytes, where: str) -> tuple[int, Signal]:
    """Return the rate and the samples [N] or [N, channels] of a WAV file."""
    from scipy.io import wavfile

    del where
    if missing := _missing_bytes(content):
        raise ValueError(f"{missing} bytes fewer than its header says")
    with warnings.catch_warnings():
        warnings.simplefilter("error", wavfile.WavFileWarning)
        # files of many programs hold notes on the recording, which are skipped
        warnings.filterwarnings("ignore", "Chunk .non-data. not understood")
        rate, samples = wavfile.read(io.BytesIO(content))
    signal = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        signal = (signal - 128) / 128
    elif samples.dtype.kind == "i":
        signal /= -float(np.iinfo(samples.dtype).min)
    return rate, signal


def _missing_bytes(content: bytes) -> int:
    """Return how many bytes fewer there are than the chunks of a WAV file claim."""
    at = 12  # behind "RIFF", the size of all, and "WAVE"
    while at + 8 <= len(content):
        (size,) = struct.unpack_from("<I", content, at + 4)
        if at + 8 + size > len(content):
            return int(at + 8 + size - len(content))
        at += 8 + size + size % 2
    return 0


def _read_flac(content: bytes, where: str) -> tuple[int, Signal]:
    """Return the rate and the samples [N, channels] of a FLAC file, which are what its sum says."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.frames > _MOST:
                raise ValueError("its header does not say how many samples it has; encode it again")
            check_fits(8 * file.frames * file.channels, where)  # a few bytes may claim to be hours
            rate, bits = file.samplerate, _BITS[file.subtype]
            samples = file.read(dtype="int32", always_2d=True) >> (32 - bits)
            missing = file.frames - len(samples)
    except soundfile.LibsndfileError as error:
        raise ValueError(error.error_string) from error
    if missing:
        raise ValueError(f"{missing} samples fewer than its header says")
    packed = samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    # libsndfile goes on after a damaged piece, with silence in its place
    if any(content[_SUM]) and hashlib.md5(packed, usedforsecurity=False).digest() != content[_SUM]:
        raise ValueError("its samples are not those that were written")
    return rate, samples / float(1 << (bits - 1))
