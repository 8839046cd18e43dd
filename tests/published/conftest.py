"""An experiment of few cells, and a table as a paper prints it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from prunebench.storage.layout import Layout
from tests.statistics.conftest import table

PAPER = """Algorithm,Compression,Top-1 acc. (%),venue
Full,,96,
SynFlow,2,95.5,NeurIPS
SynFlow,10,95,NeurIPS
SynFlow,32,90,NeurIPS
"""
MAPPED = {
    "columns": {
        "method": "Algorithm", "sparsity": "Compression", "test_error": "Top-1 acc. (%)",
    },
    "constants": {"task": "t", "regime": "r", "model": "m"},
    "units": ["accuracy-percent", "compression-ratio"],
    "dense": "Full",
}  # fmt: skip
REPLICATED = """task,regime,model,method,seed,sparsity,test_error
t,r,m,dense,0,0,0.30
t,r,m,dense,1,0,0.32
t,r,m,dense,2,0,0.31
t,r,m,RigL,0,0.5,0.25
t,r,m,RigL,1,0.5,0.26
t,r,m,RigL,2,0.5,0.28
t,r,m,RigL,0,0.75,0.20
t,r,m,RigL,1,0.75,0.23
t,r,m,RigL,2,0.75,0.22
"""
Save = Callable[[str], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a text as ``theirs.csv``."""

    def write(text: str) -> Path:
        (tmp_path / "theirs.csv").write_text(text, encoding="utf-8")
        return tmp_path / "theirs.csv"

    return write


def mine() -> pd.DataFrame:
    """Three seeds of dense, a, random at 1, 2 and 4 octaves."""
    points = {
        "dense": {(s, 0.0): 0.30 + s / 50 for s in range(3)},
        "a": {(s, k): 0.25 + s / 40 + k / 9 for s in range(3) for k in (0.5, 0.75, 0.9375)},
        "random": {(s, k): 0.35 + s / 50 + k / 5 for s in range(3) for k in (0.5, 0.75, 0.9375)},
    }
    return table(points)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An experiment's folder with cells.csv."""
    (tmp_path / "results" / "e").mkdir(parents=True)
    made = Layout(tmp_path / "results" / "e")
    mine().to_csv(made.cells_csv, index=False)
    return made
