"""Exported files against the stored predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prunebench.compression.verify_export import agreement, predict_fresh
from prunebench.errors import PrunebenchError
from tests.kinds import classes

FINITE = st.floats(-1e3, 1e3, width=32)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, (6, 4), elements=FINITE), st.integers(0, 5))
def test_predictions_agree_with_themselves_and_not_with_others(stored: Any, at: int) -> None:
    assert agreement(classes(4), stored, stored).share == 1
    assert agreement(classes(4), stored, stored).difference == 0
    other = stored.copy()
    other[at] = np.roll(np.arange(4), int(stored[at].argmax()) + 1)[::-1]
    # the naive count: the same class, or one as good up to the tolerance
    size = max(abs(float(value)) for value in stored.flat) or 1
    naive = sum(
        float(a.max()) - float(a[b.argmax()]) <= 1e-3 * size
        for a, b in zip(stored, other, strict=True)
    )
    assert agreement(classes(4), stored, other).share == pytest.approx(naive / 6)


def test_a_tie_counts_as_the_same_and_what_is_not_finite_as_another() -> None:
    stored = np.array([[1.0, 1.0005, 0], [0, 2, 1], [3, 0, 0]])
    other = np.array([[1.0005, 1.0, 0], [0, 2, 1], [np.nan, 0, 0]])
    found = agreement(classes(4), stored, other)
    assert found.share == pytest.approx(2 / 3)
    assert found.difference == float("inf")
    assert agreement(classes(4), stored, np.full((3, 3), np.nan)).share == 0
    with pytest.raises(PrunebenchError, match=r"predicts \(3, 2\), .* are \(3, 3\)"):
        agreement(classes(4), stored, other[:, :2])


def test_a_file_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    nothing = np.zeros((1, 1, 2, 2), np.uint8)
    with pytest.raises(PrunebenchError, match="does not predict: ModuleNotFoundError"):
        list(predict_fresh("import no_such_module\n", tmp_path, nothing))
    code = "def predict(images):\n    return images.reshape(len(images), -1) * 1.0\n"
    many = np.arange(1200 * 2, dtype=np.uint8).reshape(1200, 2, 1, 1)
    parts = list(predict_fresh(f"print('loaded')\n{code}", tmp_path, many))
    assert [len(part) for part in parts] == [500, 500, 200]
    assert np.array_equal(np.concatenate(parts), many.reshape(1200, 2))


def test_a_file_that_fails_on_the_way_or_takes_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
def predict(inputs):
    if inputs[0] == 2:
        raise ValueError("two is too many")
    return inputs * 1.0
"""
    answers = predict_fresh(code, tmp_path, np.arange(4), 1)
    assert [next(answers).tolist() for _ in range(2)] == [[0.0], [1.0]]
    with pytest.raises(PrunebenchError, match="does not predict: ValueError: two is too many"):
        next(answers)
    monkeypatch.setattr("prunebench.compression.verify_export._LIMIT", 0.2)
    with pytest.raises(PrunebenchError, match="took over"):
        list(predict_fresh("import time\ntime.sleep(60)\n", tmp_path, np.arange(4)))
