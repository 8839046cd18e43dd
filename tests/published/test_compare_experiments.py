"""Two tables, cell by cell: what is found is what was planted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.published.compare_experiments import (
    ExperimentComparison,
    as_json,
    compare,
    read,
    text,
)
from prunebench.published.protocol_differences import protocol_differences
from prunebench.statistics.cells_table import typed
from tests.published.conftest import mine

CELLS = typed(mine().assign(sparsity_achieved=mine()["sparsity"], test_nll=0.5), "cells")


def cells() -> pd.DataFrame:
    return CELLS.copy()


def against(b: pd.DataFrame, tolerance: float = 0.0) -> ExperimentComparison:
    return compare(CELLS, b, ("a", "b"), tolerance)


def at(table: pd.DataFrame, method: str, seed: int, sparsity: float) -> pd.Series:
    return (table["method"] == method) & (table["seed"] == seed) & (table["sparsity"] == sparsity)


def groups(found: ExperimentComparison) -> dict[str, int]:
    return {name: count for name, count in found.counts.items() if count}


def test_the_same() -> None:
    shuffled = cells().sample(frac=1, random_state=0).assign(experiment="other", commit="x")
    found = against(shuffled)
    assert found.agrees
    assert groups(found) == {"same": 21}
    assert "they agree bit by bit" in text(found)
    assert "a       0 points" in text(found)


def test_every_group_by_hand() -> None:
    b = cells()
    b.loc[at(b, "a", 0, 0.5), "test_error"] -= 0.02
    b.loc[at(b, "a", 1, 0.5), "test_error"] += 0.03
    b.loc[at(b, "a", 2, 0.5), "sparsity_achieved"] = 0.51
    b.loc[at(b, "random", 0, 0.5), ["status", "test_error"]] = ["failed", np.nan]
    b = b[~at(b, "random", 1, 0.5)]
    more = b[at(b, "a", 0, 0.75)].assign(seed=9)
    found = against(pd.concat([b, more]))
    assert groups(found) == {
        "better": 1, "worse": 2, "changed": 1, "missing in b": 1, "missing in a": 1, "same": 16,
    }  # fmt: skip
    assert not found.agrees
    rows = found.cells.set_index(["method", "seed", "sparsity"])
    assert rows.loc[("a", 0, 0.5), "difference"] == pytest.approx(-2)
    assert rows.loc[("a", 2, 0.5), "why"] == "sparsity_achieved: 0.5 → 0.51"
    assert rows.loc[("random", 0, 0.5), "why"].startswith("test_error: 0.45 → empty, status: ok")
    # −2, +3 and 0 points at one of three sparsities
    own = found.methods["a"]
    assert own.value == pytest.approx(1 / 9)
    assert own.low < own.value < own.high
    said = text(found)
    assert "t/r/m/a, seed 1, 50 %: +3.00 points" in said
    assert "missing in a (1):\n  t/r/m/a, seed 9, 75 %" in said


@pytest.mark.parametrize(
    ("points", "tolerance", "agree"),
    [(0.5, 0.5, True), (0.51, 0.5, False), (0.01, 0, False), (-0.5, 0.5, True), (3, 5, True)],
)
def test_the_tolerance_is_in_points(points: float, tolerance: float, agree: bool) -> None:
    b = cells()
    b["test_error"] += points / 100
    assert against(b, tolerance).agrees == agree


def test_other_measures_count_bit_by_bit_only() -> None:
    b = cells().assign(test_nll=0.6)
    assert groups(against(b)) == {"changed": 21}
    assert against(b, 0.1).agrees
    c = cells().assign(status="collapsed")
    assert groups(against(c, 5)) == {"worse": 21}


def test_a_column_that_one_of_them_lacks() -> None:
    found = against(cells().assign(test_nll=np.nan, macs_kept=5.0))
    assert found.agrees
    assert found.skipped == ["macs_kept", "test_nll"]
    assert "not compared, empty in one of them: macs_kept, test_nll" in text(found)


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf")])
def test_no_tolerance(tolerance: float) -> None:
    with pytest.raises(PrunebenchError, match="tolerance must be 0 points or more"):
        against(cells(), tolerance)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-4, 4), min_size=21, max_size=21), st.sampled_from([0.0, 1.0, 2.5]))
def test_turned_round_better_is_worse(moves: list[int], tolerance: float) -> None:
    b = cells()
    b["test_error"] += np.array(moves) / 100
    there, back = against(b, tolerance), compare(b, CELLS, ("b", "a"), tolerance)
    assert there.counts["better"] == back.counts["worse"] == sum(m < -tolerance for m in moves)
    assert there.counts["worse"] == back.counts["better"] == sum(m > tolerance for m in moves)
    assert there.agrees == back.agrees == all(abs(m) <= tolerance for m in moves)
    for name, own in there.methods.items():
        assert own.value == pytest.approx(-back.methods[name].value)


def test_json_is_plain(tmp_path: Path) -> None:
    b = cells()[lambda t: ~at(t, "a", 0, 0.5)]
    said = json.loads(as_json(against(b)))
    assert said["counts"]["missing in b"] == 1
    assert said["agree"] is False
    assert len(said["cells"]) == 21
    assert said["methods"]["a"]["value"] == 0
    assert [c["test_error_b"] for c in said["cells"] if c["group"] == "missing in b"] == [None]


def test_reads_folders_and_files(tmp_path: Path) -> None:
    mine().to_csv(tmp_path / "cells.csv", index=False)
    assert read(tmp_path).equals(read(tmp_path / "cells.csv"))
    with pytest.raises(PrunebenchError, match="is not there"):
        read(tmp_path / "none")


def test_other_protocols_are_told_first(tmp_path: Path) -> None:
    recovery = {"name": "fine-tuning", "parameters": {"epochs": 3}}
    one = {
        "tasks": [{"name": "digits", "train": 300, "test": 400}, {"name": "only", "train": 1}],
        "methods": [{"name": "a", "description": "x", "recovery": recovery}],
        "training": {"epochs": 8, "batch_size": 20}, "seeds": [0],
    }  # fmt: skip
    longer = {"name": "fine-tuning", "parameters": {"epochs": 5}}
    other = {
        "tasks": [{"name": "digits", "train": 200, "test": 400}],
        "methods": [{"name": "a", "description": "y", "recovery": longer}],
        "training": {"epochs": 8, "batch_size": 25}, "seeds": [1],
    }  # fmt: skip
    for name, value in (("a", one), ("b", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(value), encoding="utf-8")
    found = protocol_differences(tmp_path / "a", tmp_path / "b")
    assert found == [
        "tasks digits: train 300 → 200", "methods a: recovery.parameters.epochs 3 → 5",
        "training: batch_size 20 → 25",
    ]  # fmt: skip
    assert protocol_differences(tmp_path / "a", tmp_path / "a") == []
    assert protocol_differences(tmp_path / "a", tmp_path / "none") == []
    said = text(compare(CELLS, cells(), ("a", "b"), 1.0, found))
    assert said.startswith("the protocols differ")
    assert "train 300 → 200" in said.splitlines()[1]
    assert "within 1 point:" in said
    assert "mean over cells, under other protocols" in said
