"""A method's own code harms its own cells alone: the run, and what others compute, stay the same.

``mine`` does to its process whatever it can and ends it; in a process of the others it would change
their bits. The others' undisturbed cells are those of a grid without it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from prunebench.errors import PrunebenchError, reason_of, text_of
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import pipeline
from prunebench.storage.records import FAILED

GRID: dict[str, Any] = {
    "experiment": "harm",
    "tasks": [{"name": "digits", "train": 60, "val": 30, "test": 30}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["random"],
    "sparsities": [0.5],
    "training": {"epochs": 5, "recovery_epochs": 1, "batch_size": 20, "learning_rate": 0.1},
    "probes": {"run": []},
}
CODE = """
import os, sys, torch

class Mute(Exception):
    def __str__(self):
        raise ValueError

def leaves(view):
    sys.exit(0)

def is_mute(view):
    raise Mute

def talks(view):
    raise RuntimeError("\\x1b[2J" + "x y\\n" * 10_000_000)

def changes(view):
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    torch.nn.functional.cross_entropy = lambda *a, **k: torch.zeros((), requires_grad=True)
    torch.set_num_threads(3)
    os.chdir("/")
    return {name: weight.abs() for name, weight in view.weights.items()}

def harms(view):
    os.environ["OMP_NUM_THREADS"] = "7"
    changes(view)
    os._exit(0)
"""


@pytest.fixture(autouse=True, scope="module")
def _as_before() -> Iterator[None]:
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)


def own(folder: Path, *functions: str) -> list[Any]:
    (folder / "mine.py").write_text(CODE)
    return [{"name": name, "criterion": f"{folder}/mine.py:{name}"} for name in functions]


def bits(plan: Plan) -> dict[str, Any]:
    """Records of the cells by folder, but times and hashes of files that hold some."""
    found = {}
    for path in sorted(plan.layout.root.rglob("record.json")):
        record = json.loads(path.read_text())
        masks = record.get("files", {}).get("masks.safetensors")
        kept = {k: v for k, v in record.items() if k not in ("files", "sha256")}
        found[str(path.parent.relative_to(plan.layout.root))] = {
            **{k: v for k, v in kept.items() if not k.endswith("_seconds")},
            "masks": masks,
        }
    return found


def test_a_run_goes_on_and_the_others_have_the_bits_they_had(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    alone = Plan(config.parse(GRID), tmp_path / "alone")
    pipeline.run(alone, data)
    here, loss = Path.cwd(), functional.cross_entropy

    methods = [*own(tmp_path, "harms"), "random"]
    plan = Plan(config.parse({**GRID, "methods": methods}), tmp_path / "results")
    with pytest.raises(PrunebenchError, match=r"^curves/harms@digits-0: its process ended before"):
        pipeline.run(plan, data)
    assert os.environ.get("OMP_NUM_THREADS") != "7"
    assert bits(plan) == bits(alone)
    assert any("random" in name for name in bits(plan))

    # a job of the workflow is a process already: there it fails, and its cells say why
    capfd.readouterr()
    methods = own(tmp_path, "leaves", "is_mute", "talks")
    plan = Plan(config.parse({**GRID, "methods": methods}), tmp_path / "results")
    said = {}
    for job in plan.curve_jobs:
        [record] = pipeline.curves(plan, job, data)
        assert record["status"] == FAILED
        said[record["method"]] = record["message"]
    assert said["leaves"] == "SystemExit: 0"
    assert said["is_mute"] == "Mute: its text cannot be shown"
    assert said["talks"].startswith("RuntimeError: \\x1b[2Jx y x y")
    assert len(said["talks"]) < 5000
    assert len(capfd.readouterr().err) < 100_000

    plan = Plan(config.parse({**GRID, "methods": own(tmp_path, "changes")}), tmp_path / "results")
    pipeline.curves(plan, "changes@digits-0", data)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert torch.get_num_threads() == plan.experiment.compute.threads
    assert functional.cross_entropy is loss
    assert Path.cwd() == here
    assert "changes's code changed, and this was put back: default type," in capfd.readouterr().err


def test_a_job_that_other_code_ends_has_failed(tmp_path: Path) -> None:
    """Code of a network or of data, which is no single cell's."""
    file = tmp_path / "mine.py"
    file.write_text("import sys\nsys.exit(0)\ndef make(): ...\n")
    for part in (
        {"models": [{"name": "x", "architecture": f"{file}:make"}]},
        {"tasks": [{"name": "x", "source": "own", "path": f"{file}:make"}]},
    ):
        plan = Plan(config.parse({**GRID, **part}), tmp_path / "results")
        with contextlib.ExitStack() as stack:
            stack.enter_context(pytest.raises(PrunebenchError, match=r"sys\.exit"))
            for task in plan.experiment.tasks:
                pipeline.prepare(plan, task.name, tmp_path / "data")
            pipeline.baselines(plan, next(iter(plan.baseline_jobs)), tmp_path / "data")


def test_texts_of_errors_are_short_and_there() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert text_of(Mute()) == "its text cannot be shown"
    assert reason_of(Mute()) == "Mute: its text cannot be shown"
    assert text_of(ValueError("a\n  b\x1b")) == r"a b\x1b"
    assert len(text_of(ValueError("x " * 10**6))) <= 4001
