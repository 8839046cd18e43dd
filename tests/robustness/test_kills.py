"""Twenty kills of the smoke grid at random moments; what is left is finished, to the same bits."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prunebench.plain_yaml import read_yaml
from prunebench.records import COST
from tests.conftest import ROOT

from .disturbed import Place, assert_same, kill

pytestmark = pytest.mark.slow
KILLS = 20
TIMES = [column for column in COST if column != "train_epochs"]


def smoke() -> dict[str, Any]:
    """The smoke grid, with a checkpoint after every epoch, so that kills meet some."""
    grid = read_yaml(ROOT / "config" / "smoke.yaml")
    return {**grid, "experiment": "tiny", "compute": {**grid["compute"], "checkpoint_minutes": 0}}


def tables(place: Place) -> list[pd.DataFrame]:
    """What is made of the records, without times."""
    found = [pd.read_csv(place.results / name) for name in ("cells.csv", "layers.csv")]
    return [table.drop(columns=TIMES, errors="ignore") for table in found]


def test_a_grid_killed_at_twenty_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    undisturbed, place = (Place.make(tmp_path / name, **smoke()) for name in ("one", "two"))
    begin = time.monotonic()
    undisturbed.run(*undisturbed.everything())
    duration = time.monotonic() - begin
    draw, kills, finished = random.Random(7), 0, 0
    while kills < KILLS:
        process = place.start(*place.everything())
        try:
            output, _ = process.communicate(timeout=draw.uniform(0.02, 0.5) * duration)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            continue
        assert process.returncode == 0, output
        finished += 1
        assert_same(place.bits(), undisturbed.bits())
        for folder in ("results", "data"):
            shutil.rmtree(place.folder / folder)
    place.run(*place.everything())
    assert_same(place.bits(), undisturbed.bits())
    for one, other in zip(tables(place), tables(undisturbed), strict=True):
        pd.testing.assert_frame_equal(one, other)
    for name in ("report.html", "leaderboard.html", "paper/paper.tex", "ro-crate-metadata.json"):
        assert (place.results / name).is_file(), name
    left = [p for p in (place.results / "cells").rglob(".*") if p.is_file()]
    assert len(left) < KILLS, left
    assert not list(place.results.rglob("checkpoints"))
    assert "Nothing to be done" in place.run(*place.everything())
    print(f"{kills} kills, {finished} grids finished on the way, {duration:.0f} s undisturbed")
