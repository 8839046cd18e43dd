"""``race --replay``: what is printed, for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from prunebench.cli import app


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of three methods on nine seeds; one errs by far more than the others."""
    folder, generator = tmp_path_factory.mktemp("raced"), np.random.default_rng(0)
    rows = [
        {
            "experiment": "raced", "task": "t", "regime": "r", "model": "m", "method": method,
            "family": "dense" if method == "dense" else "weight", "seed": seed,
            "sparsity": sparsity, "status": "ok", "test_error": error, "val_error": error,
            "control": method == "dense", "train_seconds": 1.0, "prune_seconds": 0.0,
        }
        for seed in range(9)
        for method, sparsity, rise in (
            ("dense", 0.0, 0.0), ("a", 0.5, 0.01), ("b", 0.5, 0.03), ("worse", 0.5, 0.4),
        )
        for error in [0.1 + rise + 0.002 * generator.random()]
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "cells.csv", index=False)
    return folder


def test_a_replay_for_programs(results: Path) -> None:
    given = ["race", str(results), "--replay", "--orders", "5", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["winners"] == {"a": 5}
    assert said["methods"] == ["a", "b", "worse"]
    assert (said["replays"], said["instances"], said["regret"]) == (5, 9, 0)
    # of six instances four were run by all, and no more: a is left alone
    assert said["runs_saved"] == pytest.approx(1 - 4 / 6)
    assert said["halving"]["runs_saved"] == pytest.approx(1 - (3 * 3 + 2 * 3) / 18)


def test_a_replay_for_people(results: Path) -> None:
    done = CliRunner().invoke(app, ["race", str(results), "--replay", "--orders", "2"])
    assert "2 replays, each in its own order" in done.stdout
    assert "runs saved: 33.3 %" in done.stdout
    assert "winners: a 2" in done.stdout


def test_a_sparsity_that_is_not_there(results: Path) -> None:
    done = CliRunner().invoke(app, ["race", str(results), "--replay", "--sparsity", "0.7"])
    assert "no sparsity 0.7; there are 0.5" in str(done.exception)
