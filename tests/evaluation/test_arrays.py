"""Stored tensors: read whole, or refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from prunebench.errors import PrunebenchError
from prunebench.evaluation.arrays import load_arrays


def test_arrays_come_back_as_they_were_stored(tmp_path: Path) -> None:
    stored = {"logits": np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_file(stored, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(
        load_arrays(tmp_path / "a.safetensors")["logits"], stored["logits"]
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PrunebenchError, match="is no plain file"):
        load_arrays(tmp_path / "pipe")
    with pytest.raises(PrunebenchError, match="none"):
        load_arrays(tmp_path / "none")
