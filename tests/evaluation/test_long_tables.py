"""Tables with several rows a cell, from files that somebody else may have sealed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from prunebench.errors import PrunebenchError
from prunebench.evaluation.long_tables import layers_of
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import MASKS, RECORD


@pytest.mark.parametrize("order", [["a"], [""], ["a", "b", "c"]])
def test_a_layer_without_a_mask_is_damage(tmp_path: Path, order: list[str]) -> None:
    mask = np.array([[1, 0, 1], [0, 0, 0]], np.uint8)
    save_file({"a": mask, "b": mask}, tmp_path / MASKS)
    record = {"identity": "i", "status": "ok", "files": {}, "layers": order, "seed": 0}
    record |= {"task": "t", "regime": "r", "model": "m", "method": "a", "sparsity": 0.5}
    write_sealed(tmp_path / RECORD, record)
    if order == ["a"]:
        assert layers_of(tmp_path) == [
            {"layer": "a", "place": 0, "weights": 6, "kept": 2, "units": 2, "units_kept": 1}
        ]
    else:
        with pytest.raises(PrunebenchError, match=r"is damaged: .* holds no layer"):
            layers_of(tmp_path)
