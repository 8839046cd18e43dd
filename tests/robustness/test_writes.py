"""Killed at a write, before or after the rename, dozens of times: the same bits in the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .disturbed import GRID, Place, assert_same

SMALL = {
    "seeds": [0],
    "sparsities": [0.5, 0.75],
    "methods": GRID["methods"][1:],
    "training": {**GRID["training"], "rewind_epochs": [1, 2]},
}


@pytest.mark.parametrize(
    ("runs", "latest", "least"), [(6, 25, 4), pytest.param(40, 9, 20, marks=pytest.mark.slow)]
)
def test_a_grid_that_dies_at_its_writes_ends_with_the_same_bits(
    tmp_path: Path, runs: int, latest: int, least: int
) -> None:
    place, alone = (Place.make(tmp_path / name, **SMALL) for name in ("dying", "alone"))
    output = place.run(sys.executable, "-m", "tests.robustness.dying", str(runs), str(latest))
    deaths = int(output.split()[-2])
    assert deaths >= least, output
    alone.api()
    assert_same(place.bits(), alone.bits())
    assert not list(place.results.rglob("checkpoints"))
