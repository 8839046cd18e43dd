"""A small experiment that was run to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

GRID: dict[str, Any] = {
    "experiment": "tiny", "tasks": [{"name": "digits", "train": 120, "val": 60, "test": 100}],
    "models": ["seed-cnn"], "regimes": ["clean"], "seeds": [0], "methods": ["random"],
    "sparsities": [0.5], "training": {"epochs": 30, "batch_size": 30, "learning_rate": 0.1},
    "probes": {"run": ["distance"], "samples": 20},
}  # fmt: skip


def finished(folder: Path) -> Any:
    """Return the plan of a grid that was run, with all that is made of records."""
    import torch

    from prunebench.experiment import config
    from prunebench.experiment.plan import Plan
    from prunebench.runner import pipeline

    torch.set_num_threads(1)
    plan = Plan(config.parse(GRID), folder / "results")
    pipeline.run(plan, folder / "data")
    return plan
