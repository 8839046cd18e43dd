"""The smoke grid gives the same bits: however it is run, and killed at twenty random moments."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prunebench.experiment.strict_yaml import read_yaml
from prunebench.storage.records import COST
from tests.conftest import ROOT

from .disturbed import Place, assert_same, kill

pytestmark = pytest.mark.slow
KILLS = 20
LATER = 400  # days
TIMES = [column for column in COST if column != "train_epochs"]


def smoke(folder: Path) -> Place:
    """The smoke grid in a folder, with a checkpoint after every epoch, so that kills meet some."""
    grid = read_yaml(ROOT / "config" / "smoke.yaml")
    compute = {**grid["compute"], "checkpoint_minutes": 0}
    return Place.make(folder, **{**grid, "experiment": "tiny", "compute": compute})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The whole grid, on one core."""
    place = smoke(tmp_path_factory.mktemp("undisturbed"))
    place.run(*place.everything("--cores", "1"))
    return place


def tables(place: Place) -> list[pd.DataFrame]:
    """What is made of the records, without times."""
    found = [pd.read_csv(place.results / name) for name in ("cells.csv", "layers.csv")]
    return [table.drop(columns=TIMES, errors="ignore") for table in found]


def assert_equal(one: Place, two: Place) -> None:
    """The same records but their times, masks, weights and predictions, and the same tables."""
    assert_same(one.bits(), two.bits())
    for table, other in zip(tables(one), tables(two), strict=True):
        pd.testing.assert_frame_equal(table, other)


def started(place: Place) -> datetime:
    said: dict[str, Any] = json.loads((place.results / "provenance.json").read_text())
    return datetime.fromisoformat(said["started"])


def test_one_core_and_two_in_another_folder(tmp_path: Path, undisturbed: Place) -> None:
    two = smoke(tmp_path / "deep" / "er")
    two.run(*two.everything())
    assert_equal(two, undisturbed)


def test_snakemake_and_python(tmp_path: Path, undisturbed: Place) -> None:
    api = smoke(tmp_path / "api")
    api.api()
    assert_equal(api, undisturbed)


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs Debian's faketime")
def test_today_and_another_day(tmp_path: Path, undisturbed: Place) -> None:
    later = smoke(tmp_path / "later")
    # clocks that only measure go on as they are: to wait on them would take 400 days
    clock = "faketime", "-f", f"+{LATER}d"
    later.run(*clock, *later.everything(), FAKETIME_DONT_FAKE_MONOTONIC="1")
    assert_equal(later, undisturbed)
    assert (started(later) - started(undisturbed)).days == LATER


def test_killed_at_twenty_moments(tmp_path: Path, undisturbed: Place) -> None:
    place = smoke(tmp_path / "killed")
    begin = time.monotonic()
    place.run(*place.everything())
    duration = time.monotonic() - begin
    _start_anew(place)
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
        assert_equal(place, undisturbed)
        _start_anew(place)
    place.run(*place.everything())
    assert_equal(place, undisturbed)
    for name in ("report.html", "leaderboard.html", "paper/paper.tex", "ro-crate-metadata.json"):
        assert (place.results / name).is_file(), name
    left = [p for p in (place.results / "cells").rglob(".*") if p.is_file()]
    assert len(left) < KILLS, left
    assert not list(place.results.rglob("checkpoints"))
    assert "Nothing to be done" in place.run(*place.everything())
    print(f"{kills} kills, {finished} grids finished on the way, {duration:.0f} s undisturbed")


def _start_anew(place: Place) -> None:
    for folder in ("results", "data"):
        shutil.rmtree(place.folder / folder)
