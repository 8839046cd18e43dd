"""From stored cells to rows of cells.csv. numpy alone: it starts at once and runs anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prunebench.errors import PrunebenchError
from prunebench.files import read_json
from prunebench.layout import PREDICTIONS, RECORD, TARGETS
from prunebench.measure.generalization import Predictions, quality
from prunebench.plan import Baseline, Plan
from prunebench.records import DENSE, DIVERGED, FAILED, row

MEMORIZED = 0.01  # largest error on its own labels of a baseline trained to interpolation
Arrays = dict[str, np.ndarray[Any, Any]]


def _load(path: Path) -> Arrays:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PrunebenchError(f"{path} is missing or damaged: {error}") from error


class _Targets:
    """A baseline's labels and its own predictions, read once for all cells on it."""

    def __init__(self, plan: Plan, baseline: Baseline) -> None:
        folder = plan.layout.baseline(*baseline.key)
        labels = {name: value.astype(np.int64) for name, value in _load(folder / TARGETS).items()}
        self.clean = labels.pop("train_clean")
        self.labels = labels
        logits = _load(folder / PREDICTIONS)
        self.test = logits["test"].argmax(1)
        self.noisy = baseline.regime.label_noise > 0
        train_error = (logits["train"].argmax(1) != labels["train"]).mean()
        self.under_trained = bool(self.noisy and train_error > MEMORIZED)
        self.train_error = float(train_error)

    def row(self, folder: Path) -> dict[str, Any]:
        """A cell's record with its measures."""
        record = {k: v for k, v in read_json(folder / RECORD).items() if k != "files"}
        if record["status"] in (FAILED, DIVERGED):
            return row(record)
        logits = {
            name: value.astype(np.float64) for name, value in _load(folder / PREDICTIONS).items()
        }
        record |= quality(Predictions(logits, self.labels, self.clean, self.test))
        if self.under_trained:
            note = f"under-trained: the baseline's training error is {self.train_error:.3f}"
            record["message"] = "; ".join(part for part in (record["message"], note) if part)
        return row(record)


def rows(plan: Plan, kind: str, name: str) -> list[dict[str, Any]]:
    """The rows of a job's cells: of its baselines, or of its curves."""
    job = plan.find(kind, name)
    method = job.method.name if kind == "curves" else DENSE
    sparsities = plan.sparsities(job.method) if kind == "curves" else [0.0]
    found = []
    for baseline in job.baselines:
        targets = _Targets(plan, baseline)
        for sparsity in sparsities:
            task, regime, model, seed = baseline.key
            folder = plan.layout.cell(task, regime, model, seed, method, sparsity)
            found.append(targets.row(folder))
    return found
