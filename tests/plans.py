"""A grid for tests of plans, and what names its results."""

from __future__ import annotations

from typing import Any

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.storage.hashing import digest

GRID: dict[str, Any] = {
    "experiment": "grid",
    "tasks": [{"name": "digits", "train": 200}],
    "regimes": ["clean", "noisy-40"],
    "models": ["seed-cnn", {"name": "test_resnet", "training": {"epochs": 7}}],
    "seeds": [0, 1],
    "methods": ["magnitude", "imp", "l1-filter"],
    "sparsities": [0.5, 0.9],
    "training": {"epochs": 4, "recovery_epochs": 2},
}


def plan(**changes: Any) -> Plan:
    return Plan(config.parse({**GRID, **changes}))


def baselines(plan: Plan) -> dict[tuple, str]:
    return {b.key: digest(plan.cell(b).settings()) for b in plan.baselines}


def cells(plan: Plan) -> dict[tuple, str]:
    return {
        cell.coordinates: digest(cell.settings())
        for baseline in plan.baselines
        for method in plan.experiment.methods
        for cell in plan.curve(baseline, method)
    }
