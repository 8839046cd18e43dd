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
    # dense, and three methods and the tuned dense network at their sparsities
    assert len(after) > len(before) >= 4
    assert {path: after[path] for path in before} == before
    page = (tmp_path / "compressed/compress.html").read_text()
    assert "95 % interval" in page
    assert "−5" in page  # half of the MACs or a little more are gone
    # asked a third time, nothing is computed
    assert start(tmp_path).wait(PATIENCE) == 0
    assert records(tmp_path) == after
