"""A finished experiment of three seeds, and copies of it to spoil."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import pipeline
from prunebench.statistics.cells_table import read_text

GRID: dict[str, Any] = {
    "experiment": "tiny",
    "tasks": [{"name": "digits", "train": 120, "val": 50, "test": 80}],
    "regimes": ["clean", {"name": "noisy", "label_noise": 0.1}],
    "models": ["seed-cnn"],
    "seeds": [0, 1, 2],
    # two rounds of training, one for each sparsity
    "methods": [{"name": "imp", "schedule": {"name": "iterative", "rate": 0.8}}, "dense-long"],
    "sparsities": [0.5, 0.9],
    "training": {"epochs": 8, "batch_size": 20},
    "probes": {"run": ["distance"], "samples": 20},  # one that costs nothing
}


@dataclass(frozen=True)
class Ran:
    """The folder of an experiment, and where its data lie."""

    results: Path
    data: Path

    def spoilt(self, target: Path, **values: Any) -> Path:
        """A copy of configuration and table with other values in every row, given as text."""
        target.mkdir()
        shutil.copy(self.results / "config.json", target)
        table = read_text(self.results / "cells.csv").assign(**values)
        table.to_csv(target / "cells.csv", index=False)
        return target


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("reference")
    deterministic = torch.are_deterministic_algorithms_enabled()
    plan = Plan(config.parse(GRID), folder / "results")
    path = pipeline.run(plan, folder / "data")
    assert set(pd.read_csv(path)["status"]) == {"ok"}
    yield Ran(path.parent, folder / "data")
    torch.use_deterministic_algorithms(deterministic)
