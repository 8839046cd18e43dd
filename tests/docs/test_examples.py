"""The examples of configurations and of Python on the pages; commands: tests/workflow."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import prunebench
from prunebench.experiment import config
from prunebench.experiment.settings import Task
from prunebench.tasks.prepare import prepare
from prunebench.tasks.task_data import load
from tests.conftest import ROOT

from .examples import blocks, examples

LISTS = ("tasks", "regimes", "models", "methods")
PYTHON = examples("python")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for one another cost a small network more than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("page", "block"), examples("yaml"), ids=lambda value: Path(value).stem[:20]
)
def test_configurations(page: Path, block: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in re.findall(r"path: ([\w./]+)", block):
        if not path.endswith(".py"):
            Path(path).mkdir(parents=True)
    for file, function in re.findall(r"(\w+\.py):(\w+)", block):
        code = blocks("python", page.read_text(encoding="utf-8"))
        Path(file).write_text(next(each for each in code if f"def {function}(" in each))
    given = yaml.safe_load(block)
    smoke = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text(encoding="utf-8"))
    if "primary" in given.get("analysis", {}):
        smoke["methods"] = given["analysis"]["primary"]
    experiment = config.parse(smoke | given)
    for key in set(LISTS) & set(given):
        names = [item if isinstance(item, str) else item["name"] for item in given[key]]
        assert [item.name for item in getattr(experiment, key)] == names


@pytest.mark.parametrize(
    "block", [block for _, block in PYTHON if "(view" in block and block.count("def ") == 1]
)
def test_a_function_is_a_criterion(block: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(block)
    [name] = re.findall(r"def (\w+)\(", block)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10))
    masks = prunebench.prune(model, {"criterion": f"{tmp_path}/mine.py:{name}"}, sparsity=0.5)
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == total - round(total / 2)


@pytest.mark.slow
def test_parts_of_ones_own_run_together(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    [(page, code)] = [each for each in PYTHON if "def at_once(" in each[1]]
    Path("my_parts.py").write_text(code)
    own = [
        block for block in blocks("yaml", page.read_text(encoding="utf-8")) if "at_once" in block
    ]
    results = prunebench.run(
        {
            "experiment": "mine", "regimes": ["clean"], "models": ["mlp"], "seeds": [0],
            "tasks": [{"name": "digits", "train": 100, "val": 50, "test": 50}], "sparsities": [0.5],
            "training": {"epochs": 4, "recovery_epochs": 1, "batch_size": 25},
            **yaml.safe_load(own[0]),
        }
    )  # fmt: skip
    dense, pruned = results.cells.to_dict("records")
    assert pruned["status"] == "ok"
    assert pruned["sparsity_achieved"] == pytest.approx(0.5, abs=1e-4)
    assert pruned["largest_weight"] > 0
    assert pruned["train_epochs"] == dense["train_epochs"] + 1


def test_a_network_of_ones_own_is_pruned(tmp_path: Path, monkeypatch) -> None:
    [(page, block)] = [each for each in PYTHON if "prunebench.prune(" in each[1]]
    monkeypatch.chdir(tmp_path)  # it writes a file
    space: dict[str, Any] = {}
    exec(compile(block, page.name, "exec"), space)
    kept = sum(int(mask.sum()) for mask in space["masks"].values())
    total = sum(mask.numel() for mask in space["masks"].values())
    assert kept / total == pytest.approx(0.1, abs=1e-4)


def test_results_are_read_in_python(monkeypatch) -> None:
    [block] = [block for _, block in PYTHON if "prunebench.load(" in block]
    monkeypatch.chdir(ROOT)
    space: dict[str, Any] = {}
    exec(compile(block, "python.md", "exec"), space)
    assert space["figure"].axes


@pytest.mark.slow
def test_the_page_on_compressing(tmp_path: Path, monkeypatch) -> None:
    """Its files, its command and its call in Python, one after the other, as they stand there."""
    page = (ROOT / "docs" / "compress.md").read_text(encoding="utf-8")
    net, data, training, call = blocks("python", page)
    [command] = blocks("sh", page)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_net.py").write_text(net)
    Path("my_data.py").write_text(data)
    space: dict[str, Any] = {}
    exec(compile(training, "training", "exec"), space)
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1]
    assert last.startswith("compressed: Net on own-digits by ")
    for said in ("weights ", "MACs an input ", "time of one input ", "test error ", "interval"):
        assert said in last
    for file in ("model.pt2", "onnx/model.onnx", "README.md", "compress.html", "search/cells.csv"):
        assert (Path("compressed") / file).is_file()
    before = [value.clone() for value in space["network"].parameters()]
    exec(compile(call, "call", "exec"), space)
    assert space["outputs"].shape == (2, 10)
    chosen = space["done"].chosen
    assert chosen["macs_shrunk"] <= 0.5025 * chosen["macs_dense"]
    counts = [sum(p.numel() for p in net.parameters())
              for net in (space["done"].network, space["network"])]  # fmt: skip
    assert counts[0] == chosen["params_shrunk"] < counts[1]
    for old, new in zip(before, space["network"].parameters(), strict=True):
        assert torch.equal(old, new)


def test_a_function_gives_data(tmp_path: Path, monkeypatch) -> None:
    [block] = [block for _, block in PYTHON if "def squares" in block]
    monkeypatch.chdir(tmp_path)
    Path("my_data.py").write_text(block)
    task = Task(name="squares", source="own", path="my_data.py:squares", val=50)
    prepare(task, tmp_path, tmp_path / "squares.safetensors")
    data = load(tmp_path / "squares.safetensors")
    assert {split: len(part) for split, part in data.inputs.items()} == {
        "train": 150, "val": 50, "test": 100
    }  # fmt: skip


def test_a_tolerance_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    [(page, block)] = [each for each in PYTHON if "largest_tolerated" in each[1]]
    exec(compile(block, page.name, "exec"), {})
    assert block.rstrip().endswith(f"# {capsys.readouterr().out.strip()}")
