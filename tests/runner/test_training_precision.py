"""Which networks train in bfloat16, on processors that have it and on others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Compute
from prunebench.pruning import curve
from prunebench.report import reader_warnings
from prunebench.reproduce.verify.stored_experiment import load, reduced
from prunebench.runner import baselines, pipeline, training_precision
from prunebench.runner.training_precision import LARGE, precision_after, precision_of
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.layout import WEIGHTS
from prunebench.training.loop import train

SIDE = 100
GRID: dict[str, Any] = {
    "experiment": "half",
    "tasks": [{"name": "digits", "train": 60, "val": 20, "test": 20}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["magnitude"],
    "sparsities": [0.5],
    "training": {"epochs": 3, "recovery_epochs": 1, "batch_size": 20},
    "probes": {"run": []},
}
DENSE = Coordinates("digits", "clean", "seed-cnn", 0, "dense", 0.0)
CPU = torch.device("cpu")


def network(channels: int) -> nn.Module:
    """A convolution of one by one: channels times the pixels are its MACs."""
    return nn.Conv2d(1, channels, 1, bias=False)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    def has(bfloat16: bool) -> None:
        told = {"architecture": "x86_64", "avx512_bf16": bfloat16}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)

    return has


@pytest.mark.parametrize(
    ("asked", "has", "macs", "found"),
    [
        ("auto", True, LARGE, "bfloat16"),
        ("auto", True, LARGE - SIDE * SIDE, "float32"),
        ("auto", False, LARGE, "float32"),
        ("float32", True, LARGE, "float32"),
        ("bfloat16", True, SIDE * SIDE, "bfloat16"),
        # asked for is done, where it must be imitated too
        ("bfloat16", False, SIDE * SIDE, "bfloat16"),
    ],
)
def test_precision(asked: str, has: bool, macs: int, found: str, processor) -> None:
    processor(has)
    model, example = network(macs // SIDE**2), torch.zeros(1, 1, SIDE, SIDE)
    assert precision_of(Compute(precision=asked), model, example) == found


@pytest.mark.parametrize(
    ("asked", "has", "told", "found"),
    [
        ("auto", True, "bfloat16", "bfloat16"),
        ("auto", True, "float32", "float32"),
        ("auto", True, None, "float32"),  # an older record
        ("auto", False, "bfloat16", "float32"),
        ("bfloat16", True, None, "bfloat16"),
    ],
)
def test_curves_train_as_their_baseline(asked, has, told, found, processor) -> None:
    processor(has)
    assert precision_after({"precision": told}, Compute(precision=asked), CPU) == found


def test_a_grid_says_in_which_precision_it_trained(tmp_path: Path, processor, monkeypatch) -> None:
    processor(True)
    monkeypatch.setattr(training_precision, "LARGE", 1)
    used: list[torch.dtype | None] = []

    def seen(*args: Any, **more: Any) -> Any:
        used.append(more["precision"])
        return train(*args, **more)

    monkeypatch.setattr(baselines, "train", seen)
    monkeypatch.setattr(curve, "train", seen)
    plan, data = Plan(config.parse(GRID), tmp_path / "half"), tmp_path / "data"
    first = pd.read_csv(pipeline.run(plan, data))
    assert set(first["precision"]) == {"bfloat16"}
    weights = load_file(plan.layout.baseline(*DENSE[:4]) / WEIGHTS)
    assert {value.dtype for value in weights.values()} <= {torch.float32, torch.int64}
    # the same network counts as a small one: a new baseline trains otherwise, curves do not
    monkeypatch.setattr(training_precision, "LARGE", 10**9)
    small = Plan(config.parse(GRID), tmp_path / "single")
    assert set(pd.read_csv(pipeline.run(small, data))["precision"]) == {"float32"}
    others = load_file(small.layout.baseline(*DENSE[:4]) / WEIGHTS)
    assert any((weights[name] != others[name]).any() for name in weights)
    more = Plan(config.parse({**GRID, "methods": ["magnitude", "random"]}), tmp_path / "half")
    again = pd.read_csv(pipeline.run(more, data))
    assert set(again["precision"]) == {"bfloat16"}
    # a baseline and its curve, twice, and the second curve of the first baseline
    half = torch.bfloat16
    assert used == [half, half, None, None, half]


def test_what_was_trained_in_float32_is_verified_in_float32(tmp_path: Path) -> None:
    plan = Plan(config.parse(GRID), tmp_path / "results")
    stored = load(pipeline.run(plan, tmp_path / "data").parent)
    [cell] = [each for each in stored.rows if each != DENSE]
    for told, device, single in (
        ("float32", "cpu", True), (None, "cpu", True), ("bfloat16", "cpu", False),
        (None, "some GPU", False),
    ):  # fmt: skip
        stored.raw["precision"], stored.raw["device"] = told, device
        assert stored.in_float32 == (set(stored.rows) if single else set())
        again = reduced(stored.experiment, cell, float32=cell in stored.in_float32)
        assert again.compute.precision == ("float32" if single else "auto")
    asked = config.parse({**GRID, "compute": {"precision": "bfloat16"}})
    assert reduced(asked, cell, float32=True).compute.precision == "bfloat16"


@pytest.mark.parametrize(
    ("precisions", "count"),
    [(["bfloat16", None, "bfloat16"], 0), (["float32", "bfloat16", "bfloat16"], 1)],
)
def test_mixed_precisions_of_a_baseline_are_told(precisions: list[str | None], count: int) -> None:
    cells = pd.DataFrame([(*DENSE[:4], told) for told in precisions])
    cells.columns = pd.Index(["task", "regime", "model", "seed", "precision"])
    assert reader_warnings._mixed_precisions(cells) == count
