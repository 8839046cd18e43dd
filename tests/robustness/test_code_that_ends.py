"""Code of one's own that ends its process, in every command that runs some: a no, in one line.

Network, criterion, measure, figure and data work until ``END`` says how they end the process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.reproduce.submission import pack
from prunebench.reproduce.submission.submission_folder import Form
from prunebench.runner import pipeline
from prunebench.storage.records import FAILED
from tests.conftest import ROOT

PART = """
import os, signal, sys

def end(now):
    if os.environ.get("WHEN") == now:
        exec(os.environ["END"])

end("imported")
"""
PARTS = {
    "net": """
from torch import nn
def own(**options):
    end("called")
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
""",
    "criterion": """
def own(view):
    end("called")
    return {name: weight.abs() for name, weight in view.weights.items()}
""",
    "figure": """
from matplotlib.figure import Figure
def own(cells, context):
    end("called")
    drawn = Figure()
    drawn.subplots().plot([1, 2])
    return drawn
""",
    "measure": """
def own(predictions):
    end("called")
    return 0.5
""",
    "data": """
import numpy as np
def own():
    end("called")
    labels = np.arange(300) % 10
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(10, 256))[labels] + 0.3 * draw.normal(size=(300, 256))
    inputs = inputs.astype(np.float32).reshape(300, 1, 16, 16)
    parts = {"train": slice(100), "val": slice(100, 200), "test": slice(200, 300)}
    return {name: (inputs[part], labels[part]) for name, part in parts.items()}
""",
}
NET = {"models": [{"name": "net", "architecture": "net.py:own"}]}
CRITERION = {"methods": [{"name": "mine", "criterion": "criterion.py:own"}]}
GRID: dict[str, Any] = {
    "experiment": "x",
    "tasks": [{"name": "digits", "train": 200, "val": 100, "test": 100}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["random"],
    "sparsities": [0.5],
    "training": {"epochs": 5, "recovery_epochs": 1, "batch_size": 20, "learning_rate": 0.1},
    "probes": {"run": ["distance"], "samples": 20},
}
# what a grid has instead, so that a run of it meets the code of one part alone
WITH: dict[str, dict[str, Any]] = {
    "net": NET,
    "criterion": CRITERION,
    "figure": {"report": {"figures": ["figure.py:own"]}},
    "measure": {"report": {"measures": ["measure.py:own"]}},
    "data": {"tasks": [{"name": "mine", "source": "own", "path": "data.py:own"}]},
}
WHOLE = {**NET, **CRITERION, "report": {**WITH["figure"]["report"], **WITH["measure"]["report"]}}
CONFIG = "results/x/config.json"
CELL = "results/x/cells/digits/clean/net/seed-0/mine/0.5"
COMMANDS = {
    "check": ["check", "net.yaml"],
    "check-method": ["check-method", "criterion.py:own", "--json"],
    "race": ["race", "race.yaml", "--json"],
    "export": ["export", CELL, "--to", "safetensors", "--output", "out", "--json"],
    "compress": [
        "compress", "--network", "net.py:own", "--weights", "own.pt", "--data", "data.py:own",
        "--budget", "macs=0.5", "--output", "out", "--json",
    ],
    "figures": ["figures", "results/x", "--trust-code"],
    "remake": ["remake", "results/x", "--trust-code"],
    "verify": ["verify", "results/x", "--trust-code", "--json"],
    "submit check": ["submit", "check", "submitted", "--trust-code", "--json"],
    **{f"run {part}": ["run", f"{part}.yaml"] for part in PARTS},
    "job prepare": ["prepare", "data.yaml", "mine"],
    **{
        f"job {kind}": [kind, CONFIG, job]
        for kind, job in {
            "baselines": "digits-0", "curves": "mine@digits-0", "probes": "digits-0",
            "measure": "digits-0",
        }.items()
    },
}  # fmt: skip
# what is there already would not be computed again
MADE = {
    "job baselines": "cells/**/record.json",
    "job curves": "cells/**/mine/**/record.json",
    "job probes": "cells/**/probes.json",
    "job measure": "jobs/measures/*",
}
ENDS = {
    "os._exit(0)": "os._exit(0)",
    "execv": "os.execv('/bin/true', ['true'])",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "sys.exit(0)": "sys.exit(0)",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Code of one's own, and a finished grid of all of it."""
    folder = tmp_path_factory.mktemp("study")
    for name, code in PARTS.items():
        (folder / f"{name}.py").write_text(PART + code)
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump({**GRID, "experiment": name, **WITH[name]})
        )
    (folder / "race.yaml").write_text(
        yaml.safe_dump(
            {**GRID, "experiment": "race", "methods": ["magnitude", *CRITERION["methods"]]}
            | {"seeds": [0, 1, 2, 3]}
        )
    )
    before, deterministic = Path.cwd(), torch.are_deterministic_algorithms_enabled()
    os.chdir(folder)
    try:
        pipeline.run(Plan(config.parse({**GRID, **WHOLE})))
        form = Form(name="submitted", method="mine", description="", paper="", contact="")
        pack.pack(Path("results/x"), Path("submitted"), form)
    finally:
        os.chdir(before)
        torch.use_deterministic_algorithms(deterministic)
    space: dict[str, Any] = {}
    exec(PART + PARTS["net"], space)
    torch.save(space["own"]().state_dict(), folder / "own.pt")
    return folder


EVERY = [
    *((command, how, "called") for command in COMMANDS for how in ENDS),
    *((command, "os._exit(0)", "imported") for command in COMMANDS),
]


@pytest.mark.slow  # minutes; how one process watches another is tested in tests/runner
@pytest.mark.parametrize(("command", "how", "when"), EVERY)
def test_is_not_done(study: Path, tmp_path: Path, command: str, how: str, when: str) -> None:
    folder = Path(shutil.copytree(study, tmp_path / "study", copy_function=shutil.copy2))
    results = folder / "results" / "x"
    made = list(results.glob(MADE[command])) if command in MADE else []
    assert bool(made) == (command in MADE)
    for path in made:
        path.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "prunebench", *COMMANDS[command]],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "END": ENDS[how],
             "WHEN": when},
    )  # fmt: skip
    if "--json" in COMMANDS[command]:
        json.loads(done.stdout)
    assert not list((folder / "out").rglob("README.md"))
    if (command, how) == ("job curves", "sys.exit(0)"):
        # a cell that failed is a row that says so, and stops no other
        [record] = (json.loads(p.read_text()) for p in results.glob(MADE[command]))
        assert (record["status"], record["message"]) == (FAILED, "SystemExit: 0")
        return
    assert done.returncode != 0, done.stderr
    last = done.stderr.splitlines()[-1]
    assert len(last) < 1000
    # of a check the document says what it could not decide
    assert last.startswith("error: ") or "its process ended before it was done" in done.stdout
    # of a cell that failed, an author sees his own lines
    assert "Traceback" not in done.stderr or "failed: SystemExit" in done.stderr
