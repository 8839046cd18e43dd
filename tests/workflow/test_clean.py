"""``make clean`` takes what was downloaded or prepared, and nothing of the user's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from prunebench.experiment.prepared_data import LocalSource, fetched_manifest, prepared_manifest
from prunebench.experiment.settings import Task
from prunebench.storage.files import read_json, write_sealed
from prunebench.tasks.prepare import prepare, sidecar
from tests.conftest import ROOT

OWN = (
    "data/mine/a.png", "data/raw/mine.zip", "data/raw/mine/a.png", "data/raw/mine/set/a.png",
    "data/raw/torchvision/mine/a.png", "data/raw/mine/set2/note.json", "data/prepared/mine.csv",
    "data/prepared/weights.safetensors", "data/prepared/weights.safetensors.json",
    "results/x/cells.csv",
)  # fmt: skip


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_what_is_ones_own_stays(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    for name in OWN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}" if name.endswith("json") else "mine")
    data = tmp_path / "data"
    task = Task(name="digits", source="digits", train=20, val=20, test=20)
    made = data / "prepared" / "digits-01234567.safetensors"
    prepare(task, data / "raw" / "digits", made)
    prepared_manifest(made).write([made, sidecar(made)])
    write_sealed(LocalSource(data, made.with_name(f"{made.name}.source.json")).note, {})
    made.with_name(f"{made.name}.lock").touch()
    for dataset in ("CIFAR10", "EuroSAT"):
        fetched = data / "raw" / "torchvision" / dataset
        (fetched / "deep" / "er").mkdir(parents=True)
        (fetched / "deep" / "er" / "data_batch_1").write_text("theirs")
        fetched_manifest(fetched).write([fetched / "deep" / "er" / "data_batch_1"])
    beside = data / "raw" / "torchvision" / "CIFAR10" / "deep" / "notes of mine.txt"
    beside.write_text("mine")  # in a folder of ours
    target = tmp_path / "results" / "x"
    (data / "raw" / "torchvision" / "EuroSAT" / "link").symlink_to(target)
    forged = data / "raw" / "torchvision" / "EuroSAT" / "note.json"
    said = read_json(forged)
    elsewhere = ["../../../../results/x/cells.csv", str(target / "cells.csv"), "link/cells.csv"]
    forged.write_text(json.dumps({**said, "files": {**said["files"], **dict.fromkeys(elsewhere)}}))
    half = data / "raw" / "torchvision" / ".SVHN.abcdefgh" / "root"  # of a download that was killed
    half.mkdir(parents=True)
    (half / "train.mat").write_text("theirs")
    done = subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"Makefile", *OWN, str(beside.relative_to(tmp_path))}, done.stderr
    assert [path.name for path in forged.parent.iterdir()] == ["link"]
