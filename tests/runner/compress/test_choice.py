"""The network that is taken: by validation, within the budget or the tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner.compress.beside_control import beside_control
from prunebench.runner.compress.choice import (
    by_budget,
    by_tolerance,
    errors_of,
    interval_of,
    tried,
)
from prunebench.runner.compress.missed_budget import missed_budget
from prunebench.runner.compress.size_budget import Budget
from prunebench.storage.files import write_json
from prunebench.storage.layout import FACTS, PREDICTIONS, TARGETS
from prunebench.storage.records import COLUMNS

SPARSITIES = [0.2, 0.4, 0.6]
Wrong = NDArray[np.bool_]  # samples [N] that are predicted wrong


def wrong(share: float, samples: int = 2000, first: int = 0) -> Wrong:
    """A share of the samples, from a place on."""
    found = np.zeros(samples, bool)
    found[first : first + round(share * samples)] = True
    return found


class Search:
    """A search whose predictions are made up, of two classes; the right one is 0."""

    def __init__(self, folder: Path) -> None:
        grid = {
            "experiment": "search", "tasks": ["digits"], "regimes": ["clean"], "models": ["mlp"],
            "seeds": [0], "methods": ["l1-filter", "fpgm", "random-filter"],
            "sparsities": SPARSITIES,
        }  # fmt: skip
        self.plan = Plan(config.parse(grid), folder)
        self.rows: list[dict[str, Any]] = []
        [self.baseline] = self.plan.baselines

    def add(
        self, method: str, sparsity: float, val: Wrong, test: Wrong | None = None, **row: Any
    ) -> None:
        methods = {each.name: each for each in self.plan.experiment.methods}
        cell = self.plan.cell(self.baseline, methods.get(method), sparsity)
        cell.folder.mkdir(parents=True)
        splits = {"train": val, "val": val, "test": val if test is None else test}
        logits = {
            split: np.stack([1.0 - each, each], 1).astype(np.float32)
            for split, each in splits.items()
        }
        save_file(logits, cell.folder / PREDICTIONS)
        if method == "dense":
            targets = {split: np.zeros(len(each), np.int64) for split, each in splits.items()}
            save_file(targets, cell.folder / TARGETS)
            write_json(cell.folder / FACTS, {"kind": "classification", "names": ["a", "b"]})
        kept = 1 - sparsity
        made = {
            "method": method, "sparsity": sparsity, "status": "ok", "seed": 0, "task": "digits",
            "regime": "clean", "model": "mlp", "control": method in ("dense", "random-filter"),
            "sparsity_achieved": sparsity, "macs_dense": 1000, "macs_shrunk": 1000 * kept**2,
            "params_shrunk": 100 * kept, "latency_ms": kept, "latency_dense_ms": 1.0,
            "val_error": val.mean(), "val_nll": float(val.mean()),
        }  # fmt: skip
        self.rows.append({**made, **row})

    @property
    def table(self) -> pd.DataFrame:
        return tried(pd.DataFrame(self.rows, columns=list(COLUMNS)))


@pytest.fixture
def search(tmp_path: Path) -> Search:
    found = Search(tmp_path)
    found.add("dense", 0.0, wrong(0.05))
    return found


def filled(search: Search, errors: Mapping[str, list[float]], **row: Any) -> Search:
    for method, values in errors.items():
        for sparsity, error in zip(SPARSITIES, values, strict=True):
            search.add(method, sparsity, wrong(error), **row)
    return search


def test_the_lowest_validation_error_within_the_budget(search: Search) -> None:
    filled(search, {"l1-filter": [0.05, 0.07, 0.08], "fpgm": [0.05, 0.06, 0.09],
                    "random-filter": [0.01, 0.01, 0.01]})  # fmt: skip
    taken = by_budget(search.plan, search.table, Budget("macs", 0.4))
    # 0.4 and 0.6 keep 36 % and 16 % of the MACs; the control is better, and no candidate
    assert (taken.row["method"], taken.row["sparsity"]) == ("fpgm", 0.4)
    assert search.table.loc[taken.place, "method"] == "fpgm"
    assert taken.cell.sparsity == 0.4
    assert "among the 4 networks that keep at most 40 % of the MACs" in taken.reasons[0]
    weights = by_budget(search.plan, search.table, Budget("weights", 0.85))
    assert (weights.row["method"], weights.row["sparsity"]) == ("fpgm", 0.2)  # equal: the first


def test_a_budget_that_none_meets(search: Search) -> None:
    filled(search, {"l1-filter": [0.05, 0.07, 0.08]})
    with pytest.raises(PrunebenchError, match="met by no network; the smallest keeps 40 %"):
        by_budget(search.plan, search.table, Budget("latency", 0.3))


def test_a_search_in_which_all_failed(search: Search) -> None:
    filled(search, {"l1-filter": [1.0] * 3}, status="failed", message="cannot be traced")
    with pytest.raises(PrunebenchError, match="no network can be taken: cannot be traced"):
        by_budget(search.plan, search.table, Budget("macs", 0.5))


def test_the_smallest_network_that_is_shown_within_the_tolerance(search: Search) -> None:
    filled(search, {"l1-filter": [0.05, 0.052, 0.09], "fpgm": [0.05, 0.08, 0.05],
                    "random-filter": [0.05, 0.05, 0.05]})  # fmt: skip
    taken = by_tolerance(search.plan, search.table, 1.0)
    # fpgm's 0.6 is as good as dense, but comes after one that is not
    assert (taken.row["method"], taken.row["sparsity"]) == ("l1-filter", 0.4)
    assert "fpgm: shown up to sparsity 0.2" in taken.reasons[1]
    assert "sparsity 0.4 is shown to be above the tolerance." in taken.reasons[1]
    assert "over 2 methods" in taken.reasons[0]


def test_a_tolerance_that_validation_is_too_small_for(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.add("dense", 0.0, wrong(0.05, 100))
    for sparsity in SPARSITIES:
        search.add("l1-filter", sparsity, wrong(0.06, 100, first=2))
    with pytest.raises(PrunebenchError, match=r"not shown for any network; l1-filter: nothing is"):
        by_tolerance(search.plan, search.table, 2.0)


def test_the_interval_of_the_test_error(search: Search) -> None:
    search.add("fpgm", 0.2, wrong(0.05), test=wrong(0.08))
    cell = search.plan.cell(search.baseline, search.plan.experiment.methods[1], 0.2)
    assert errors_of(cell, "test").tolist() == wrong(0.08).astype(float).tolist()
    found = interval_of(cell)
    assert found is not None
    rise, low, high = found
    # 60 of 2,000 turn wrong and none right: McNemar's normal interval, by hand
    error = 100 * (0.03 / 2000) ** 0.5
    assert rise == pytest.approx(3.0)
    assert low == pytest.approx(3 - 1.96 * error, abs=0.25)
    assert high == pytest.approx(3 + 1.96 * error, abs=0.25)
    assert low < rise < high


def test_a_control_of_the_same_cost_that_is_not_worse_is_said(search: Search) -> None:
    search.add("l1-filter", 0.4, wrong(0.06))
    search.add("random-filter", 0.2, wrong(0.01))  # better, and keeps more
    search.add("random-filter", 0.4, wrong(0.062))
    taken = by_budget(search.plan, search.table, Budget("macs", 0.4))
    found = beside_control(search.plan, search.table, taken, "macs")
    # by hand: 4 of 2,000 turn wrong, 0.2 points; McNemar's exact test has p = 0.125
    assert found.as_well
    assert "6.2 %, l1-filter 6 % (+0.20 points" in found.told
    assert "the control random-filter is not shown to be worse" in found.short


def test_a_control_that_does_as_well_is_said_so_and_one_that_is_worse_is_no_warning(
    search: Search,
) -> None:
    search.add("l1-filter", 0.4, wrong(0.06))
    search.add("random-filter", 0.6, wrong(0.06))  # smaller and the same
    taken = by_budget(search.plan, search.table, Budget("macs", 0.4))
    assert "random-filter did as well" in (
        beside_control(search.plan, search.table, taken, "macs").short
    )
    search.add("random-filter", 0.4, wrong(0.12))
    table = search.table
    table = table[~((table["method"] == "random-filter") & (table["sparsity"] == 0.6))]
    found = beside_control(search.plan, table, taken, "macs")
    assert (found.as_well, found.short) == (False, "")
    assert "which filters go matters here" in found.told


def test_a_search_without_a_control_says_so(search: Search) -> None:
    search.add("l1-filter", 0.4, wrong(0.06))
    taken = by_budget(search.plan, search.table, Budget("macs", 0.4))
    found = beside_control(search.plan, search.table, taken, "macs")
    assert (found.as_well, found.short) == (True, "")
    assert "No control of the same cost was tried" in found.told


def test_a_method_far_from_the_budget_is_explained(search: Search) -> None:
    filled(search, {"l1-filter": [0.05, 0.07, 0.08], "fpgm": [0.05, 0.06, 0.09]})
    table, budget = search.table, Budget("macs", 0.36)  # what 0.4 keeps
    assert list(missed_budget(search.plan, table, budget, "l1-filter")) == []
    table.loc[table["method"] == "fpgm", "kept_macs"] = [0.9, 0.6, 0.37]  # 3 % above it
    [said] = missed_budget(search.plan, table, budget, "l1-filter")
    assert said.startswith("fpgm came near the budget, not within it: 37 % of the MACs, at a")
    assert "validation error of 9 %" in said
    assert "--methods fpgm,random-filter" in said
    table.loc[table["method"] == "fpgm", "kept_macs"] = [0.9, 0.8, 0.7]
    [said] = missed_budget(search.plan, table, budget, "l1-filter")
    assert said.startswith("fpgm is not near the budget")
    assert "keeps 70 % of the MACs" in said
    assert "--methods fpgm,random-filter" in said
    table.loc[table["method"] == "fpgm", "sparsity_achieved"] = [0.1, 0.2, 0.3]
    [said] = missed_budget(search.plan, table, budget, "l1-filter")
    assert "to remove 60 % of the prunable weights and removed 30 %: filters go whole" in said
