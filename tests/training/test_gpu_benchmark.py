"""The script for a GPU goes all its ways on a CPU; the loop waits for no step's result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import gpu
from prunebench.experiment.settings import Model, Training
from prunebench.training.loop import constant, train


def test_it_goes_all_its_ways_without_a_gpu(tmp_path: Path) -> None:
    gpu.main(["--dry", "--into", str(tmp_path / "found.json")])
    first, *rows = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert first["device"] == "CPU, dry"
    speeds = {(row["part"], row.get("way", row.get("trainings"))): row["images per second"]
              for row in rows if "images per second" in row}  # fmt: skip
    assert speeds.keys() == {
        ("throughput", "bare step"), ("throughput", "loop"), ("at once", 1),
    }  # fmt: skip
    assert min(speeds.values()) > 0
    left = {row["part"]: row["not measured"] for row in rows if "not measured" in row}
    assert left.keys() == {"2:4", "CIFAR-10 to 94 %", "airbench"}
    assert "not measured on this hardware" in left["2:4"]


def test_what_no_time_is_left_for_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--dry", "--minutes", "0"])
    _, *rows = map(json.loads, capsys.readouterr().out.splitlines())
    assert {row["not measured"] for row in rows} == {
        "no time was left", "no --cifar10 given", "no --airbench and --cifar10 given",
    }  # fmt: skip


class Reads(TorchDispatchMode):
    """Counts how often a value is read from a tensor, for which a GPU's queue must run empty."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def reads(steps: int) -> int:
    """Return how often an epoch of so many steps reads a value."""
    sizes = gpu.DRY
    model = gpu.network(Model(name="seed-cnn"), sizes)
    data = gpu.noise(3, sizes.side, sizes.batch * steps)
    training = Training(epochs=1, batch_size=sizes.batch, gradient_clip=1.0)
    masks = {name: value > 0 for name, value in model.named_parameters() if value.ndim > 1}
    with Reads() as seen:
        train(model, data, training, seed=0, rate=constant(training), stop=1, masks=masks)
    return seen.count


def test_no_step_of_training_reads_a_value() -> None:
    few = reads(2)
    assert few > 0  # the loss of the epoch is read
    assert reads(6) == few
