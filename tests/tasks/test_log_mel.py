"""Log-mel images, against what can be said of pure tones."""

from __future__ import annotations

import numpy as np
import pytest

from prunebench.experiment.settings import Speech
from prunebench.tasks.log_mel import (
    RANGE,
    band_energies,
    frames_of,
    log_mel,
    mel,
    mel_filters,
    resample,
)
from prunebench.tasks.sound_files import Signal

RATE = 8000


def tone(frequency: float, seconds: float = 0.5, rate: int = RATE) -> Signal:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


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
