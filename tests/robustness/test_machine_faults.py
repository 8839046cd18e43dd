"""The machine fails: no room, nothing may be written, no memory: one line; the next run ends it.

A method with a bug is another thing: its cells say so, and nobody tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import pipeline
from prunebench.runner.progress import failures
from prunebench.storage.files import write_text

from .disturbed import GRID

SMALL = {**GRID, "seeds": [0], "sparsities": [0.5], "probes": {"run": []}}
SMALL["training"] = {**GRID["training"], "epochs": 3, "recovery_epochs": 1}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(deterministic)


def plan_in(folder: Path, **changes: Any) -> Plan:
    return Plan(config.parse({**SMALL, **changes}), folder / "results")


def statuses(plan: Plan) -> dict[str, str]:
    """Those of each method's cells, each once."""
    by_method = pd.read_csv(plan.layout.cells_csv).groupby("method")["status"]
    return {str(name): "/".join(sorted(set(found))) for name, found in by_method}


def test_a_full_disk_and_one_that_may_not_be_written(
    tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    data = tmp_path / "data"
    disk = small_disk("size=5m")  # the baseline fits, not all of its curves
    plan = plan_in(disk)
    with pytest.raises(PrunebenchError, match=r"cannot write .*: No space left on device") as full:
        pipeline.run(plan, data)
    assert "\n" not in str(full.value)
    assert not plan.layout.cells_csv.exists()
    small_disk("size=50m,ro")
    with pytest.raises(PrunebenchError, match=r"cannot write .*: Read-only file system"):
        pipeline.run(plan, data)
    small_disk("size=50m,rw")
    before = {path: path.stat().st_mtime_ns for path in plan.layout.records()}
    assert before  # what fitted is kept
    pipeline.run(plan, data)
    assert set(statuses(plan).values()) == {"ok"}
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert not [p for p in plan.layout.root.rglob(".*") if p.name != ".lock"]


PLUGIN = """
import pathlib
def score(view):
    there = pathlib.Path(__file__).with_name("there")
    if there.exists():
        there.unlink()
        raise {error}
    return {{name: weight.abs() for name, weight in view.weights.items()}}
"""


@pytest.mark.parametrize(
    "error", ["MemoryError()", "RuntimeError('[enforce] DefaultCPUAllocator: not enough memory')"]
)
def test_want_of_memory_is_no_result(tmp_path: Path, error: str) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.format(error=error))
    (tmp_path / "there").touch()
    mine = {"name": "mine", "criterion": f"{tmp_path}/mine.py:score"}
    plan = plan_in(tmp_path, methods=[mine], seeds=[0, 1])
    with pytest.raises(PrunebenchError, match=r"seed 0 mine: out of memory"):
        pipeline.run(plan, tmp_path / "data")
    # the other curve of the same process was computed all the same
    assert {path.parts[-4] for path in plan.layout.records() if "mine" in path.parts} == {"seed-1"}
    pipeline.run(plan, tmp_path / "data")
    assert statuses(plan)["mine"] == "ok"


def test_a_bug_of_a_method_is_its_result_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def score(view):\n    return view.nothing_of_the_kind\n")
    mine = {"name": "mine", "criterion": f"{tmp_path}/mine.py:score"}
    plan = plan_in(tmp_path, methods=[mine, "random"], sparsities=[0.5, 0.75])
    pipeline.run(plan, tmp_path / "data")
    assert statuses(plan) == {"dense": "ok", "mine": "failed", "random": "ok"}
    told = failures.text(plan)
    assert "digits/clean/seed-cnn/seed 0: mine (2 cells): AttributeError" in told
    assert "log:" not in told  # in one process there is none
    log = plan.layout.root / "logs" / "curves" / "mine@digits-0.log"
    write_text(log, "a traceback\n")
    assert f"; log: {log}" in failures.text(plan)
    assert "random" not in told


def test_a_job_that_was_made_good_without_the_workflow_is_told_of_no_more(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, methods=["random"], probes={"run": ["distance"], "samples": 20})
    for job in ("baselines/digits-0", "curves/random@digits-0", "probes/digits-0"):
        write_text(plan.layout.root / "logs" / f"{job}.log", "error: no room\n")
    assert len(failures.text(plan).splitlines()) == 1 + 3
    pipeline.run(plan, tmp_path / "data")
    assert failures.text(plan) == ""


def test_a_baseline_that_fails_stops_no_other(tmp_path: Path) -> None:
    regimes = [{"name": "still", "training": {"learning_rate": 1e-9}}, "clean"]
    plan = plan_in(tmp_path, regimes=regimes, compute={"baselines_per_job": 1})
    with pytest.raises(
        PrunebenchError, match=r"^the baseline digits/still/.* learned nothing"
    ) as no:
        pipeline.run(plan, tmp_path / "data")
    assert "missing" not in str(no.value)  # what stands on it is not tried
    assert {path.parts[-6] for path in plan.layout.records()} == {"clean"}
    assert len(plan.layout.records()) == 1 + 2
    assert not plan.layout.cells_csv.exists()
