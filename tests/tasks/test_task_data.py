"""Loading a prepared file: what comes back, and everything that can be wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Task
from prunebench.storage.files import sha256_file, write_json
from prunebench.tasks.prepare import prepare, sidecar
from prunebench.tasks.task_data import load


@pytest.fixture
def target(tmp_path: Path) -> Path:
    settings: dict[str, Any] = {"train": 60, "val": 40, "test": 50}
    task = Task(name="digits", source="digits", **settings)
    path = tmp_path / "digits.safetensors"
    prepare(task, tmp_path, path)
    return path


def test_calibration_is_a_split_where_it_was_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    task = Task(name="mine", source="digits", test=300, val=100, calibration=64)
    prepare(task, tmp_path, target)
    data = load(target)
    assert list(data.inputs) == list(data.targets) == ["train", "val", "test", "calibration"]
    assert len(data.inputs["calibration"]) == len(data.targets["calibration"]) == 64
    images = {image.numpy().tobytes() for image in data.inputs["train"]}
    same = [image.numpy().tobytes() in images for image in data.inputs["calibration"]]
    assert sum(same) <= 1  # of digits a few are alike


def test_what_was_prepared_comes_back(target: Path) -> None:
    data = load(target)
    stored = load_file(target)
    for split in ("train", "val", "test"):
        assert np.array_equal(data.inputs[split].numpy(), stored[f"{split}_images"])
        assert np.array_equal(data.targets[split].numpy(), stored[f"{split}_labels"])
    assert (data.kind.outputs, data.shape) == (10, (1, 8, 8))
    assert data.data_hash == sha256_file(target)


def test_images_lie_in_the_file_and_not_in_memory(target: Path) -> None:
    data = load(target)
    mapped = Path("/proc/self/maps")
    if not mapped.exists():
        pytest.skip("no /proc to look into")
    assert str(target) in mapped.read_text()
    assert data.inputs["train"].dtype == torch.uint8


def test_normalized_training_images_have_mean_0_and_deviation_1(target: Path) -> None:
    data = load(target).to("cpu")
    images = data.normalized(data.inputs["train"])
    assert images.dtype == torch.float32
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    pixel = data.inputs["test"][3, 0, 4, 5].item() / 255
    value = data.normalized(data.inputs["test"])[3, 0, 4, 5].item()
    assert value == pytest.approx((pixel - data.mean.item()) / data.std.item(), abs=1e-5)


def test_a_channel_that_never_changes_stays_finite(target: Path) -> None:
    tensors = load_file(target)
    tensors["train_images"][:] = 9
    save_file(tensors, target)
    described = json.loads(sidecar(target).read_text())
    write_json(
        sidecar(target),
        {**described, "sha256": sha256_file(target), "mean": [9 / 255], "std": [0.0]},
    )
    data = load(target)
    assert data.normalized(data.inputs["train"]).abs().max().item() < 1e-5


def _refusal(target: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        load(target)
    message = str(caught.value)
    assert "\n" not in message
    assert f"delete {target} and run again" in message
    return message


def test_a_missing_file(target: Path) -> None:
    target.unlink()
    assert _refusal(target).startswith(f"{target} is missing")


def test_data_that_were_never_prepared_are_not_to_be_deleted(target: Path) -> None:
    target.unlink()
    sidecar(target).unlink()
    with pytest.raises(PrunebenchError, match="the task's data are not prepared yet") as caught:
        load(target)
    assert "delete" not in str(caught.value)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_a_class_is_refused(target: Path, split: str) -> None:
    """An earlier version prepared such data."""
    tensors = load_file(target)
    tensors[f"{split}_labels"][tensors[f"{split}_labels"] == 3] = 4
    save_file(tensors, target)
    described = json.loads(sidecar(target).read_text())
    write_json(sidecar(target), {**described, "sha256": sha256_file(target)})
    assert f"its {split} images show 9 of 10 classes" in _refusal(target)


def test_a_missing_description(target: Path) -> None:
    sidecar(target).unlink()
    assert _refusal(target).startswith(f"{sidecar(target)} is missing")


def test_a_truncated_file(target: Path) -> None:
    target.write_bytes(target.read_bytes()[:-100])
    assert "damaged or truncated" in _refusal(target)


def test_one_wrong_bit(target: Path) -> None:
    content = bytearray(target.read_bytes())
    content[-1000] ^= 1
    target.write_bytes(content)
    assert "damaged or truncated" in _refusal(target)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": 1}', "\x00"])
def test_a_damaged_description(target: Path, text: str) -> None:
    sidecar(target).write_text(text)
    assert _refusal(target).startswith(f"{sidecar(target)} is damaged")


def test_a_description_of_another_file(target: Path) -> None:
    described = json.loads(sidecar(target).read_text())
    write_json(sidecar(target), {**described, "shape": [3, 8, 8]})
    assert "describes another file" in _refusal(target)
