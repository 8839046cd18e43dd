"""What reads files and answers of others, each with inputs that are nearly right, by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.readers.hostile_boxes import boxes
from tests.robustness.fuzz.readers.hostile_images import images
from tests.robustness.fuzz.readers.hostile_mlflow import mlflow
from tests.robustness.fuzz.readers.hostile_npz import npz
from tests.robustness.fuzz.readers.hostile_parquet import parquet
from tests.robustness.fuzz.readers.hostile_recordings import recordings
from tests.robustness.fuzz.readers.hostile_sealed import sealed
from tests.robustness.fuzz.readers.hostile_settings import settings
from tests.robustness.fuzz.readers.hostile_submissions import submissions
from tests.robustness.fuzz.readers.hostile_tables import tables
from tests.robustness.fuzz.readers.hostile_texts import texts
from tests.robustness.fuzz.readers.hostile_weights import safetensors

# each takes a folder of its own, and gives inputs and what reads one
READERS: dict[str, Callable[[Path], Reader]] = {
    make.__name__: make
    for make in (
        settings, tables, safetensors, parquet, npz, images, recordings, texts, boxes, submissions,
        sealed, mlflow,
    )
}  # fmt: skip
