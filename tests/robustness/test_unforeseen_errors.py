"""What a library raises for damaged bytes is no closed set: whatever comes is said in one line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prunebench.compression.shrunk_files import load_shrunk
from prunebench.errors import PrunebenchError
from prunebench.evaluation.arrays import load_arrays
from prunebench.experiment.settings import Task
from prunebench.report.document.to_html import _uri
from prunebench.storage.cell_files import load_tensors
from prunebench.tasks import images, tables
from prunebench.tasks.sources import medmnist, own, parquet, torchvision
from prunebench.training.loaded_weights import state_of


class Unforeseen(Exception):
    """No reader knows it."""


def _images(source: str, path: Path) -> Task:
    return Task(name="mine", source=source, path=str(path), val=2, test=2)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "arrays": ("prunebench.evaluation.arrays.load_file", load_arrays),
    "tensors": ("safetensors.torch.load_file", load_tensors),
    "shrunk": (
        "prunebench.compression.shrunk_files.safe_open", lambda path: load_shrunk(None, path)  # type: ignore[arg-type]
    ),
    "weights": ("torch.load", lambda path: state_of(path, "models: m")),
    "rows": ("pyarrow.parquet.ParquetFile", tables._parquet),
    "images": ("pyarrow.parquet.ParquetFile", parquet._open),
    "npz": ("numpy.load", lambda path: own.read(_images("own", path), path)),
    "medmnist": ("numpy.load", lambda path: medmnist.read(_images("medmnist", path), path)),
    "size": ("PIL.Image.open", images.stored_size),
    "figure": ("PIL.Image.open", lambda path: _uri(path, 5)),
    "cifar": (
        "torchvision.datasets.CIFAR10",
        lambda path: torchvision.read(
            Task(name="t", source="torchvision", dataset="CIFAR10"), path
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    path = tmp_path / "theirs.npz"
    path.write_bytes(b"x" * 64)
    library, read = READERS[reader]

    def fail(*_: object, **__: object) -> None:
        raise Unforeseen("out of\nplace")

    monkeypatch.setattr(library, fail)
    with pytest.raises(PrunebenchError, match=r"out of place|Unforeseen") as caught:
        read(path)
    assert "theirs.npz" in str(caught.value) or reader == "cifar"


def test_a_figure_of_another_format_is_not_opened(tmp_path: Path) -> None:
    """Pillow hands PostScript to another program, whatever a file is called."""
    path, drawn = tmp_path / "figure.png", io.BytesIO()
    Image.new("RGB", (5, 4)).save(drawn, "EPS")
    path.write_bytes(drawn.getvalue())
    with pytest.raises(PrunebenchError, match=r"figure\.png is damaged"):
        _uri(path, 5)
    with pytest.raises(PrunebenchError, match=r"figure\.png cannot be read"):
        images.stored_size(path)
