"""A small grid in a copy of the checkout, started, killed and compared with an undisturbed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prunebench.storage.files import sha256_file
from tests.conftest import copy_of_checkout

GRID: dict[str, Any] = {
    "experiment": "tiny",
    "tasks": [{"name": "digits", "train": 120, "val": 60, "test": 100}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0, 1],
    "methods": ["random", {"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}}],
    "sparsities": [0.5, 0.75],
    "training": {"epochs": 6, "recovery_epochs": 3, "batch_size": 30, "learning_rate": 0.1},
    # a checkpoint after every epoch, so that kills meet some
    "compute": {"baselines_per_job": 2, "curves_per_job": 2, "checkpoint_minutes": 0},
    "probes": {"run": ["distance"], "samples": 50},
}
CELLS = 2 * (1 + 2 * 2)
TIMES = {"train_seconds", "prune_seconds", "sha256"}  # the last is of the others, times included


@dataclass(frozen=True)
class Place:
    """A copy of the checkout with a grid in it."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, **changes: Any) -> Place:
        """Copy the checkout; ``changes`` of the grid."""
        folder.mkdir(parents=True, exist_ok=True)
        place = cls(copy_of_checkout(folder))
        place.config(**changes)
        return place

    def config(self, **changes: Any) -> None:
        """Write the configuration."""
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump({**GRID, **changes}))

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """A command in a session of its own."""
        tools = Path(sys.executable).parent
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
        own = {**inherited, "PATH": f"{tools}:{os.environ['PATH']}", **environment}
        return subprocess.Popen(
            command, cwd=self.folder, env=own, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def snakemake(self, *options: str, target: str = "results/tiny/cells.csv") -> list[str]:
        """The user's command, as far as the records."""
        return ["snakemake", target, "--cores", "2", "--configfile", "tiny.yaml", *options]

    def everything(self, *options: str) -> list[str]:
        """The user's command."""
        return ["snakemake", "--cores", "2", "--configfile", "tiny.yaml", *options]

    def run(self, *command: str, status: int = 0, **environment: str) -> str:
        """Run to the end; what it printed. Fails the test where it ends otherwise."""
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == status, output
        return output

    def api(self, status: int = 0, **environment: str) -> str:
        """The grid through Python."""
        code = (
            "from prunebench.experiment import config; from prunebench.experiment.plan import Plan;"
            " from prunebench.runner import pipeline;"
            " from pathlib import Path; pipeline.run(Plan(config.load(Path('tiny.yaml'))))"
        )
        return self.run(sys.executable, "-c", code, status=status, **environment)

    def bits(self) -> dict[str, Any]:
        """What it computed."""
        return bits(self.results)

    def records(self) -> dict[str, int]:
        """When each record was written."""
        found = (self.results / "cells").rglob("record.json")
        return {str(path.relative_to(self.results)): path.stat().st_mtime_ns for path in found}


def bits(results: Path) -> dict[str, Any]:
    """Every record but its times, and the hash of every other file of a cell."""
    found: dict[str, Any] = {}
    for path in sorted((results / "cells").rglob("*")):
        name = str(path.relative_to(results))
        if path.is_dir() or path.name.startswith("."):
            continue
        if path.suffix == ".json" and path.name != "history.json":
            value = json.loads(path.read_text())
            found[name] = {key: v for key, v in value.items() if key not in TIMES}
        else:
            found[name] = sha256_file(path)
    return found


def kill(process: subprocess.Popen[str]) -> str:
    """Kill a command with all that it started, as the power would; what it printed."""
    os.killpg(process.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    return output


def assert_same(one: dict[str, Any], two: dict[str, Any], ignore: Sequence[str] = ()) -> None:
    """Two sets of bits, a message a difference."""
    assert set(one) == set(two)
    different = [name for name in one if one[name] != two[name] and name not in ignore]
    assert not different, [(name, one[name], two[name]) for name in different[:3]]
