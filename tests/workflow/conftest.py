"""The smoke grid, run once through Snakemake in a copy of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import copy_of_checkout

SMOKE = Path("config/smoke.yaml")


@dataclass(frozen=True)
class Workflow:
    """A copy of the checkout in which the workflow runs."""

    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment, in the copy."""
        tools = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, timeout=1800,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def snakemake(self, *options: str, config: Path = SMOKE) -> str:
        """Run the workflow; its output. Fails the test where it fails."""
        done = self.run("snakemake", "--cores", "2", "--configfile", str(config), *options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def records(self) -> dict[str, float]:
        """Every cell's record and when it was written."""
        results = self.folder / "results" / "smoke" / "cells"
        found = results.glob("*/*/*/*/*/*/record.json")
        return {str(path.relative_to(results).parent): path.stat().st_mtime for path in found}


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workflow, str]:
    """The finished smoke grid, of one regime and one model alone, and what Snakemake printed.

    tests/robustness/test_smoke.py runs it as it ships.
    """
    workflow = Workflow(copy_of_checkout(tmp_path_factory.mktemp("checkout")))
    config = workflow.folder / SMOKE
    grid = yaml.safe_load(config.read_text(encoding="utf-8"))
    small = {**grid, "regimes": ["clean"], "models": grid["models"][:1]}
    config.write_text(yaml.safe_dump(small), encoding="utf-8")
    return workflow, workflow.snakemake()
