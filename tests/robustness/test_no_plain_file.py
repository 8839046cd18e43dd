"""A pipe where a file should be is refused: whoever opens it would wait without end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from prunebench.compression.encoding import load_compressed
from prunebench.compression.shrunk_files import load_shrunk
from prunebench.errors import PrunebenchError
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.settings import Task
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.published.read_foreign import read_text_table
from prunebench.report.tables import compression_tables
from prunebench.runner.progress.failures import last_words
from prunebench.statistics.cells_table import read_cells
from prunebench.storage.cell_files import load_tensors
from prunebench.storage.files import read_json, read_sealed, read_text, sha256_file
from prunebench.tasks import sound_files, sources, tables
from prunebench.tasks.images import decode
from prunebench.tasks.sources import own
from prunebench.training import loaded_weights

TASK = Task(name="mine", source="folder")


def source(name: str) -> Callable[[Path], Any]:
    """Read the path as data of a source."""
    return lambda path: sources.reader(name)(
        Task(name="mine", source=name, path=str(path)), path.parent
    )


READERS: dict[str, Callable[[Path], Any]] = {
    "settings": read_yaml, "a job's last words": last_words,
    "code": lambda path: OwnCode(path, "score").check(),
    "text": read_text, "JSON": read_json, "record": read_sealed, "hash": sha256_file,
    "tensors": load_tensors, "cells": read_cells, "foreign table": read_text_table,
    "times": lambda path: compression_tables.read(path, ()),
    "shrunk": lambda path: load_shrunk(torch.nn.Linear(1, 1), path),
    "compressed": load_compressed,
    "weights": lambda path: loaded_weights._read(path, "weights"),
    "weights as safetensors": lambda path: loaded_weights._read(
        path.rename(path.with_suffix(".safetensors")), "weights"
    ),
    "image": lambda path: decode([(path, 0, str(path))], 1, TASK),
    "CSV": tables.read_text,
    "Parquet of a table": lambda path: tables.read_table(
        path.rename(path.with_suffix(".parquet"))
    ),
    "npz": source("medmnist"),
    "own arrays": lambda path: own._stored(path, TASK),
    "sound": lambda path: sound_files.read_sound(path, str(path)),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_no_file(tmp_path: Path, reader: str) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(PrunebenchError, match="is no plain file"):
        READERS[reader](tmp_path / "x")


def test_a_pipe_in_a_folder_of_images_or_shards(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    os.mkfifo(tmp_path / "cat" / "x.png")
    os.mkfifo(tmp_path / "train-0.parquet")
    for name in ("folder", "parquet", "table"):
        with pytest.raises(PrunebenchError, match=r"is no plain file|no column"):
            source(name)(tmp_path)
