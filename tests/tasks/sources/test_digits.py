"""scikit-learn's digits as bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from prunebench.tasks.sources.digits import read

from ..conftest import MakeTask


def test_all_images_with_their_pixels_scaled(make_task: MakeTask) -> None:
    raw = read(make_task(), Path("unused"))
    digits = load_digits()
    assert raw.train.inputs.shape == (1797, 8, 8, 1)
    assert (raw.val, raw.test) == (None, None)
    assert np.array_equal(raw.train.targets, digits.target)
    assert (raw.train.inputs.min(), raw.train.inputs.max()) == (0, 255)
    assert np.abs(raw.train.inputs[..., 0] / 255 - digits.images / 16).max() < 0.5 / 255 + 1e-9
