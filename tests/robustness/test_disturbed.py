"""Through Snakemake: other cores, Ctrl-C, two at once, damaged files, a job killed for memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from .disturbed import CELLS, GRID, Place, assert_same, kill

pytestmark = pytest.mark.slow
SUICIDE = """
import os, pathlib, signal
def score(view):
    there = pathlib.Path(__file__).with_name("there")
    if there.exists():
        there.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return {name: weight.abs() for name, weight in view.weights.items()}
"""


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_same_bits_disturbed_or_not(tmp_path: Path) -> None:
    one, two, api = (Place.make(tmp_path / name) for name in ("one", "two", "deep/er/api"))
    one.run(*one.snakemake("--cores", "1"))
    api.api()
    assert len(one.records()) == CELLS
    assert_same(one.bits(), api.bits())

    # two commands at once: the second is refused; Ctrl-C ends the first; the same command goes on
    first = two.start(*two.snakemake())
    wait_for(two.results / "cells/digits/clean/seed-cnn/seed-0/dense/0/record.json", first)
    settings = (two.results / "config.json").read_text()
    two.config(training={**GRID["training"], "epochs": 7})  # a job reads config.json alone
    refused = two.run(*two.snakemake(), status=2)
    two.config()
    assert (two.results / "config.json").read_text() == settings
    assert f"at work on it (process {first.pid})" in refused
    assert "Traceback" not in refused
    assert "at work on it" in two.api(status=1)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=120)
    assert first.returncode != 0
    kept = two.records()
    two.run(*two.snakemake())
    assert_same(two.bits(), one.bits())
    assert all(two.records()[name] == time for name, time in kept.items())
    table = [pd.read_csv(place.results / "cells.csv") for place in (one, two, api)]
    times = ["train_seconds", "prune_seconds"]
    for other in table[1:]:
        pd.testing.assert_frame_equal(other.drop(columns=times), table[0].drop(columns=times))

    # damaged where Snakemake does not look
    group = two.results / "cells/digits/clean/seed-cnn/seed-1"
    damaged = [
        group / "dense/0/initial.safetensors", group / "imp/0.5/predictions.safetensors",
        group / "random/0.75/record.json", group / "imp/0.75/probes.json",
        two.results / "jobs/measures/digits-0.json",
    ]  # fmt: skip
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-7])
    two.run(*two.snakemake("--dry-run"))
    assert all(path.exists() for path in damaged)
    output = two.run(*two.snakemake())
    for path in damaged:
        assert f"damaged: {path.relative_to(two.folder)} is" in output
    assert_same(two.bits(), one.bits())
    assert "Nothing to be done" in two.run(*two.snakemake())


def test_a_job_that_is_killed_stops_no_other_and_is_told_of(tmp_path: Path) -> None:
    mine = {"name": "mine", "criterion": "mine.py:score"}
    place = Place.make(tmp_path / "x", methods=[mine, "random"], seeds=[0])
    (place.folder / "mine.py").write_text(SUICIDE)
    (place.folder / "there").touch()
    output = place.run(*place.snakemake(), status=1)
    assert "curves/mine@digits-0: it was killed" in output
    assert "log: results/tiny/logs/curves/mine@digits-0.log" in output
    assert len(place.records()) == 1 + 2  # dense, random
    before = place.records()
    place.run(*place.snakemake())
    after = place.records()
    assert len(after) == 1 + 2 * 2
    assert all(after[name] == written for name, written in before.items())


def test_a_kill_needs_no_unlocking(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", seeds=[0], methods=["random"])
    process = place.start(*place.snakemake())
    wait_for(place.results / "cells", process)
    kill(process)
    place.run(*place.snakemake())


def test_workers_that_outlive_their_command_change_nothing(tmp_path: Path) -> None:
    """Killed alone, Snakemake leaves jobs at work; the same command then starts beside them."""
    changes = {"seeds": [0], "methods": ["random"], "compute": {"checkpoint_minutes": 0}}
    changes["training"] = {**GRID["training"], "epochs": 30}
    one, two = (Place.make(tmp_path / name, **changes) for name in ("one", "two"))
    one.run(*one.snakemake())
    first = two.start(*two.snakemake())
    wait_for(two.results / "jobs" / "running" / "baselines" / "digits-0.json", first)
    first.kill()  # the supervisor alone
    first.wait()
    assert first.stdout is not None
    two.run(*two.snakemake())
    until = time.monotonic() + 300
    while list((two.results / "jobs" / "running").rglob("*.json")):  # those left may still write
        assert time.monotonic() < until
        time.sleep(0.2)
    first.stdout.close()  # of those left, too
    two.run(*two.snakemake())  # the same command, once more, computes what they damaged
    assert_same(two.bits(), one.bits())
    assert len(two.records()) == 1 + 2


WAITING = """
import pathlib, time
def score(view):
    here = pathlib.Path(__file__).parent
    (here / "at-work").touch()
    while not (here / "go").exists():
        time.sleep(0.05)
    return {name: -weight.abs() for name, weight in view.weights.items()}
"""
LARGEST = """
def score(view):
    return {name: weight.abs() for name, weight in view.weights.items()}
"""


@pytest.mark.parametrize("warm", [True, False])
def test_a_worker_with_the_code_of_before_writes_nothing_behind_the_next_run(
    tmp_path: Path, warm: bool
) -> None:
    """The command is killed alone, the code is changed, and the same command ends before it."""
    mine = {"name": "mine", "criterion": "mine.py:score"}
    changes = {"seeds": [0], "methods": [mine], "probes": {}}
    changes["training"] = {**GRID["training"], "epochs": 30}
    one, two = (Place.make(tmp_path / name, **changes) for name in ("one", "two"))
    if not warm:  # a job that no warm process takes
        for place in (one, two):
            server = place.folder / "prunebench/cli/warm_server.py"
            server.write_text(server.read_text().replace("in LOADED:", "in LOADED or True:"))
    (one.folder / "mine.py").write_text(LARGEST)
    one.run(*one.snakemake())
    (two.folder / "mine.py").write_text(WAITING)
    first = two.start(*two.snakemake())
    wait_for(two.folder / "at-work", first)
    first.kill()  # the supervisor alone
    first.wait()
    assert first.stdout is not None
    (two.folder / "mine.py").write_text(LARGEST)
    two.run(*two.snakemake())
    (two.folder / "go").touch()
    first.stdout.read()  # until all that it started has ended
    first.stdout.close()
    assert_same(two.bits(), one.bits())


def test_two_commands_that_prepare_one_data_set_at_once(tmp_path: Path) -> None:
    alone, both = (Place.make(tmp_path / name) for name in ("alone", "both"))
    command = [sys.executable, "-m", "prunebench", "prepare", "tiny.yaml", "digits"]
    alone.run(*command)
    for _ in range(3):
        for process in [both.start(*command) for _ in range(3)]:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output
    there, here = (
        {path.name: path.read_bytes() for path in (place.folder / "data/prepared").iterdir()}
        for place in (alone, both)
    )
    notes = {name for name in there if name.endswith("note.json")}  # with times
    assert len(notes) == 1
    assert there.keys() == here.keys()
    assert all(there[name] == here[name] for name in there.keys() - notes)
