"""A grid of twelve cells, and records put where those of its cells would be."""

from __future__ import annotations

from typing import Any

from prunebench.experiment.plan import Plan
from prunebench.runner.progress.time_left import Effort, efforts
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import RECORD

GRID: dict[str, Any] = {
    "experiment": "grid",
    "tasks": [{"name": "digits", "train": 400}],
    "regimes": ["clean", {"name": "few", "train_samples": 100}],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["magnitude", {"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}},
                "dense-decayed"],
    "sparsities": [0.5, 0.75],
    "training": {"epochs": 10, "recovery_epochs": 4},
}  # fmt: skip


def cell(plan: Plan, regime: str, method: str, sparsity: float) -> Effort:
    wanted = ("digits", regime, "seed-cnn", 0, method, sparsity)
    [found] = [effort for effort in efforts(plan) if effort.key == wanted]
    return found


def store(effort: Effort, epochs: float, seconds: float, **more: Any) -> None:
    record = {
        "identity": "i", "status": "ok", "message": "", "train_epochs": epochs,
        "train_seconds": seconds, "files": {},
    }  # fmt: skip
    write_sealed(effort.cell.folder / RECORD, {**record, **more})
