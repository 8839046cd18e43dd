"""A compression that is killed in the middle goes on, in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[3]
NETWORK = """
from torch import nn

def net(num_classes=10):
    layers = [nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))
"""
DATA = """
import numpy as np
from sklearn.datasets import load_digits

def digits():
    every = load_digits()
    images = (every.images[:, None] / 16).astype(np.float32)
    parts = {"train": slice(0, 200), "val": slice(200, 300), "test": slice(300, 400)}
    return {name: (images[part], every.target[part]) for name, part in parts.items()}
"""
COMMAND = [
    sys.executable, "-m", "prunebench", "compress", "--network", "my_net.py:net", "--weights",
    "my.pt", "--data", "my_data.py:digits", "--budget", "macs=0.5", "--epochs", "2",
    "--methods", "l1-filter,fpgm,random-filter",
]  # fmt: skip
PATIENCE = 900  # seconds


def trained() -> dict[str, torch.Tensor]:
    """Weights of the network that know more than chance."""
    space: dict[str, Any] = {}
    exec(NETWORK + DATA, space)
    images, labels = (torch.from_numpy(part) for part in space["digits"]()["train"])
    torch.manual_seed(0)
    network = space["net"]()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(40):
        for batch in torch.randperm(len(labels)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


def records(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """When each finished cell of the search was written, and what it says."""
    found = sorted((folder / "compressed/search/cells").rglob("record.json"))
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "said.txt").open("a") as said:
        return subprocess.Popen(
            COMMAND, cwd=folder, env=environment, start_new_session=True, text=True,
            stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.mark.slow
def test_the_same_command_goes_on_from_the_last_finished_cell(tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(NETWORK)
    (tmp_path / "my_data.py").write_text(DATA)
    torch.save(trained(), tmp_path / "my.pt")
    begun, process = time.monotonic(), start(tmp_path)
    while len(records(tmp_path)) < 4:
        assert process.poll() is None, (tmp_path / "said.txt").read_text()
        assert time.monotonic() < begun + PATIENCE
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = records(tmp_path)
    assert not (tmp_path / "compressed/compress.html").exists()
    again = start(tmp_path)
    assert again.wait(PATIENCE) == 0, (tmp_path / "said.txt").read_text()
    after = records(tmp_path)
    # dense, the tuned dense network, and three methods at their sparsities
    assert len(after) > len(before) >= 4
    assert {path: after[path] for path in before} == before
    page = (tmp_path / "compressed/compress.html").read_text()
    assert "95 % interval" in page
    assert "−5" in page  # half of the MACs or a little more are gone
    # asked once more, nothing is computed again
    assert start(tmp_path).wait(PATIENCE) == 0
    assert records(tmp_path) == after
