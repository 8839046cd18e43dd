"""Budgets by composition against what the committed experiments' cells trained for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prunebench.experiment import config, registry
from prunebench.experiment.budget import RECOVERIES, SCHEDULES, budget
from prunebench.experiment.part_kinds import Recovery, Schedule
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Training
from prunebench.storage.records import COLLAPSED, DENSE, OK
from tests.conftest import ROOT

REFERENCES = sorted(path.parent for path in (ROOT / "results/reference").glob("*/config.json"))
TRAINING = Training(epochs=10, recovery_epochs=3)


def test_every_schedule_and_recovery_that_ships_has_a_budget() -> None:
    assert set(SCHEDULES) == set(registry.builtin(Schedule))
    assert set(RECOVERIES) == set(registry.builtin(Recovery))


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda folder: folder.name)
def test_what_the_references_trained_for(folder: Path) -> None:
    experiment = config.load(folder / "config.json")
    trained = {baseline.key: baseline.training for baseline in Plan(experiment).baselines}
    methods = {method.name: method for method in experiment.methods}
    cells = pd.read_csv(folder / "cells.csv")
    finished = cells[(cells["method"] != DENSE) & cells["status"].isin([OK, COLLAPSED])]
    assert len(finished) >= 10
    for row in finished.to_dict("records"):
        training = trained[(row["task"], row["regime"], row["model"], row["seed"])]
        assert budget(methods[row["method"]], training, row["sparsity"]) == row["train_epochs"]


@pytest.mark.parametrize(
    ("method", "sparsity", "epochs"),
    [
        ("magnitude", 0.9, 10 + 3),
        ("magnitude-last-rate", 0.9, 10 + 10),
        ("magnitude-once", 0.9, 10),
        ("magnitude-recalibrated", 0.9, 10),
        ("magnitude-distilled", 0.9, 10 + 3),
        ("magnitude-distilled-rewind", 0.9, 10 + 10),
        ("snip", 0.9, 10),
        ("small-dense", 0.9, 10),
        ("dense-long", 0.0, 20),
        ("dense-stopped", 0.0, 10),
        ("dense-decayed", 0.0, 50),
        ("gradual", 0.9, 10),
        ("gradual-trained", 0.9, 20),
        ("rigl-long", 0.9, 20),
        ("network-slimming", 0.9, 13),
        ("imp", 0.5, 10 + 4 * 10),  # rounds to 0.2, 0.36, 0.488, and 0.5
        ("imp", 0.36, 10 + 2 * 10),  # a round's own sparsity
        ("imp", 0.1, 10 + 10),
    ],
)
def test_compositions(method: str, sparsity: float, epochs: float) -> None:
    assert budget(config.method(method), TRAINING, sparsity) == epochs


def test_rewound_to_an_epoch_and_trained_times() -> None:
    parts = {"name": "x", "criterion": "magnitude", "schedule": "dense"}
    again = {"name": "learning-rate-rewinding", "times": 3}
    assert budget(config.method({**parts, "recovery": again}), TRAINING, 0.0) == 40
    rewound = {"name": "weight-rewinding", "to_epoch": 4}
    method = config.method({"name": "x", "criterion": "magnitude", "recovery": rewound})
    assert budget(method, TRAINING, 0.5) == 10 + 6


def test_a_schedule_of_ones_own_has_none(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def mine(curve, sparsities):\n    yield\n")
    method = config.method({"name": "x", "criterion": "magnitude", "schedule": f"{file}:mine"})
    assert budget(method, TRAINING, 0.5) is None
