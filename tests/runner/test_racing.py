"""A race trains what it asks for and nothing else: the steps are counted, nothing is computed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.evaluation import rows
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Method
from prunebench.runner import pipeline, racing
from prunebench.statistics.race import FIRST_LOOK, Raced
from prunebench.storage.layout import Layout
from prunebench.storage.records import row
from tests.plans import plan as made

ERRORS = {"magnitude": 0.1, "imp": 0.12, "l1-filter": 0.5}


def counting(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, ...]]:
    """Count jobs, by kind and cell, instead of running them; records have the ERRORS."""
    found: Counter[tuple[str, ...]] = Counter()

    def step(kind: str) -> Any:
        def run(plan: Plan, name: str, data: Path) -> None:
            for baseline in plan.find(kind, name).baselines:
                method = name.partition("@")[0] if kind == "curves" else "dense"
                found[(kind, method, *map(str, baseline.key))] += 1

        return run

    class Targets:
        def __init__(self, plan: Plan, baseline: Any) -> None:
            self.plan, self.baseline = plan, baseline

        def row(self, folder: Path, method: Method | None) -> dict[str, Any]:
            assert folder.is_relative_to(self.plan.layout.root)
            name = method.name if method else "dense"
            # seeds differ, and each method a little by itself
            own = 0.001 * ((self.baseline.seed * 7 + len(name)) % 5)
            error = 0.05 + own + (ERRORS[name] if method else 0)
            place = dict(zip(("task", "regime", "model", "seed"), self.baseline.key, strict=True))
            return row(
                place
                | {
                    "experiment": "grid", "method": name, "family": "weight" if method else "dense",
                    "sparsity": float(folder.name), "status": "ok", "test_error": error + 0.01,
                    "val_error": error, "control": method is None, "train_seconds": 1.0,
                    "training_outcome": "trained-out",
                }
            )  # fmt: skip

    for kind in ("baselines", "curves"):
        monkeypatch.setattr(pipeline, kind, step(kind))
    monkeypatch.setattr(pipeline, "begin", lambda plan, data: None)
    monkeypatch.setattr(rows, "Targets", Targets)
    return found


def grid(folder: Path, **changes: Any) -> Plan:
    given = {"seeds": [0, 1, 2, 3, 4, 5, 6], "regimes": ["clean"], "models": ["seed-cnn"]}
    plan = made(**given | changes)
    plan.layout = Layout(folder / "grid")
    plan.layout.root.mkdir()
    return plan


@pytest.fixture(scope="module")
def raced(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Raced, Counter[tuple[str, ...]], pd.DataFrame]:
    """A race at one sparsity, the jobs that it ran, and the records that it wrote."""
    plan = grid(
        tmp_path_factory.mktemp("race"), compute={"curves_per_job": 4, "baselines_per_job": 3}
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        ran = counting(monkeypatch)
        found = racing.run(plan, sparsity=0.9)
    return found, ran, pd.read_csv(plan.layout.race_csv)


def test_what_is_dropped_is_trained_no_more(raced: Any) -> None:
    found, ran, _ = raced
    assert found.winner == "magnitude"
    assert found.report_seeds == [5, 6]
    assert found.instances == 5
    assert found.result.dropped == {"imp": FIRST_LOOK, "l1-filter": FIRST_LOOK}
    curves = Counter(method for kind, method, *_ in ran if kind == "curves")
    assert curves == {"imp": FIRST_LOOK, "l1-filter": FIRST_LOOK, "magnitude": FIRST_LOOK + 2}
    assert found.result.runs == 3 * FIRST_LOOK
    # of the report's seeds the winner alone; each job once
    assert {key[1] for key in ran if key[0] == "curves" and key[-1] in "56"} == {"magnitude"}
    assert set(ran.values()) == {1}


def test_the_winner_is_told_on_other_seeds(raced: Any) -> None:
    found, _, table = raced
    own = table[(table["method"] == "magnitude") & table["seed"].isin([5, 6])]
    dense = table[(table["method"] == "dense") & table["seed"].isin([5, 6])]
    rise = 100 * (
        own.groupby("seed")["val_error"].mean() - dense.groupby("seed")["val_error"].mean()
    )
    assert found.reported == pytest.approx(rise.mean())
    assert found.test == pytest.approx(rise.mean())  # both test errors are a point higher
    assert found.optimism == pytest.approx(found.reported - found.selected)


def test_the_records_of_a_race_are_a_table_of_cells(raced: Any) -> None:
    _, ran, table = raced
    assert not table.duplicated(["task", "regime", "model", "method", "seed", "sparsity"]).any()
    assert len(table) == sum(1 if kind == "baselines" else 2 for kind, *_ in ran)


@pytest.mark.parametrize(
    ("changes", "sparsity", "said"),
    [
        ({"methods": ["magnitude", "random"]}, None, "needs two methods, controls aside"),
        ({"seeds": [0]}, None, "give two or more"),
        ({}, 0.7, r"no sparsity 0\.7; there are 0\.5, 0\.9"),
    ],
)
def test_what_cannot_race_is_refused_before_training(
    changes: dict[str, Any],
    sparsity: float | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = counting(monkeypatch)
    with pytest.raises(PrunebenchError, match=said):
        racing.run(grid(tmp_path, **changes), sparsity=sparsity)
    assert not ran
