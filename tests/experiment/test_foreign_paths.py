"""A path of Windows in a configuration is told as one, where no such file can be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config

GRID: dict[str, Any] = {
    "experiment": "x", "tasks": ["digits"], "regimes": ["clean"], "models": ["seed-cnn"],
    "seeds": [0], "methods": ["magnitude"], "sparsities": [0.5],
}  # fmt: skip
pytestmark = pytest.mark.skipif(os.sep == "\\", reason="here these are paths")


@pytest.mark.parametrize(
    "path", ["C:\\data\\mine", "C:/data/mine", "\\\\server\\data", ".\\data", "sets\\mine.npz"]
)
def test_it_is_refused_wherever_it_stands(path: str) -> None:
    for changes in (
        {"tasks": [{"name": "mine", "source": "folder", "path": path}]},
        {"models": [{"name": "mine", "architecture": "resnet20", "weights": path}]},
        {"methods": [{"name": "mine", "criterion": f"{path}\\mine.py:score"}]},
    ):
        with pytest.raises(PrunebenchError, match="is a path of Windows") as caught:
            config.parse({**GRID, **changes}, "grid.yaml")
        assert str(caught.value).startswith("grid.yaml: ")
        assert "write a relative path, with / between its parts" in str(caught.value)


def test_what_is_none_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path("back\\slash.npz")  # a name that a file here may have
    odd.touch()
    config.parse({**GRID, "tasks": [{"name": "mine", "source": "own", "path": str(odd),
                                     "val": 1, "test": 1}]})  # fmt: skip
    config.parse({**GRID, "prunable": {"exclude": ["a\\.b"]}})
