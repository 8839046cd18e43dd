"""Every domain's configuration, from data to leaderboard: its embedded task needs no download."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prunebench.experiment import config
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.registry import builtin
from prunebench.statistics import read_cells
from prunebench.storage.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
# configuration -> the test error that a network must beat on the average of its seeds: of the best
# simple method on the same split (benchmarks/simple_baselines.py); of translation there is none,
# and the bound is loose
BEATEN = {
    "text": 0.485, "speech": 0.198, "speech-recognition": 0.1425, "language-model": 0.418,
    "translation": 0.9, "recommendation": 0.2114, "diagnosis": 0.028, "tabular": 0.2689,
    "detection": 0.4552,
}  # fmt: skip


def test_every_kind_has_its_configuration() -> None:
    kinds = {
        task.kind for name in BEATEN for task in config.load(ROOT / "config" / f"{name}.yaml").tasks
    }
    assert kinds == set(builtin(TaskKindTraits))


@pytest.mark.slow
@pytest.mark.parametrize("name", BEATEN)
def test_a_domain_runs_whole(name: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prunebench", "run", str(ROOT / "config" / f"{name}.yaml")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    layout = Layout(tmp_path / "results" / name)
    cells = read_cells(layout.cells_csv)
    dense = cells[cells["method"] == "dense"]
    assert dense["test_error"].mean() < BEATEN[name]
    pruned = cells[cells["sparsity"] > 0]
    assert set(pruned["status"]) <= {"ok", "collapsed", "failed"}
    assert (pruned["status"] == "ok").mean() > 0.8
    assert not (cells["shrink"] == "different").any()
    for page in (layout.report("html"), layout.leaderboard("html")):
        assert page.exists()
