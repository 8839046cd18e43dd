"""Twenty kills at random moments through Snakemake; what is left is finished, to the same bits."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from .disturbed import CELLS, Place, assert_same, kill

pytestmark = pytest.mark.slow
KILLS = 20


def test_a_grid_killed_at_twenty_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    undisturbed, place = Place.make(tmp_path / "one"), Place.make(tmp_path / "two")
    begin = time.monotonic()
    undisturbed.run(*undisturbed.snakemake("--cores", "1"))
    duration = time.monotonic() - begin
    draw, kills, finished = random.Random(7), 0, 0
    while kills < KILLS:
        process = place.start(*place.snakemake())
        try:
            output, _ = process.communicate(timeout=draw.uniform(0.02, 0.4) * duration)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            continue
        assert process.returncode == 0, output
        finished += 1
        assert_same(place.bits(), undisturbed.bits())
        for folder in ("results", "data"):
            shutil.rmtree(place.folder / folder)
    place.run(*place.snakemake())
    assert len(place.records()) == CELLS
    assert_same(place.bits(), undisturbed.bits())
    left = [p for p in place.results.rglob(".*") if p.is_file() and p.name != ".lock"]
    assert len(left) < KILLS, left
    assert not list(place.results.rglob("checkpoints"))
    print(f"{kills} kills, {finished} grids finished on the way, {duration:.0f} s undisturbed")
