"""Stored tensors: read whole, or refused in one line."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3"])
def test_a_type_that_numpy_lacks_is_refused(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("ml_dtypes")  # as onnx does: it gives numpy such types
    stated = {"a": {"dtype": kind, "shape": [2], "data_offsets": [0, 4 if kind == "BF16" else 2]}}
    header = json.dumps(stated).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(
        len(header).to_bytes(8, "little") + header + b"\0" * stated["a"]["data_offsets"][1]
    )
    with pytest.raises(PrunebenchError, match=r"x\.safetensors is missing or damaged"):
        load_arrays(path)
