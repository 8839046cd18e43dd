"""Ten thousand inputs that are nearly right for each reader: taken, or refused in one line.

``FUZZ_INPUTS=500 pytest -m slow tests/robustness/fuzz`` feeds another number of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.fuzz.readers import READERS

ROOT = Path(__file__).resolve().parents[3]
MANY, FEW = int(os.environ.get("FUZZ_INPUTS", "10000")), 100
LONG = ("submissions", "sealed", "mlflow")  # they train a network, or wait for a server


def fed(reader: str, count: int, folder: Path) -> dict[str, float]:
    """Feed a reader in a process of its own; return its figures."""
    folder = folder / "own"  # the process may write here alone
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-m", "tests.robustness.fuzz.confined", reader,
         str(count), str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


@pytest.mark.parametrize("reader", [name for name in READERS if name not in LONG])
def test_a_hundred(tmp_path: Path, reader: str) -> None:
    figures = fed(reader, FEW, tmp_path)
    assert figures["refused"] > 0
    assert figures["accepted"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_ten_thousand(tmp_path: Path, reader: str) -> None:
    figures = fed(reader, MANY, tmp_path)
    print(reader, figures)
    assert figures["refused"] > 0
    assert figures["accepted"] > 0
