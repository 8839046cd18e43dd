"""Verdicts of scores: families, controls, sizes that matter, tests over tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebench.errors import PrunebenchError
from prunebench.statistics import score


def many(table: Callable, seeds: int, effects: dict[str, float], **fixed: str) -> pd.DataFrame:
    """A sparsity, a dense error of 0.3, and methods with effects (points) and a little noise."""
    noise = np.random.default_rng(5).normal(0, 0.001, (len(effects), seeds))
    points = {
        method: {(s, 0.5): 0.3 + effect / 100 + noise[m, s] for s in range(seeds)}
        for m, (method, effect) in enumerate(effects.items())
    }
    return table({"dense": {(s, 0.0): 0.3 for s in range(seeds)}, **points}, **fixed)


def test_verdicts_need_the_test_the_interval_and_a_size_that_matters(table: Callable) -> None:
    effects = {"good": -4, "bad": 4, "same": 0.1}
    said = score(many(table, 8, effects)).set_index("method")
    wanted = {"good": "better", "bad": "worse", "same": "equivalent", "dense": "reference"}
    assert said["verdict"].to_dict() == wanted
    # three seeds cannot show a difference, but that there is none that matters they can
    few = score(many(table, 3, effects)).set_index("method")["verdict"]
    assert few[["good", "bad", "same"]].tolist() == ["unresolved", "unresolved", "equivalent"]
    wide = score(many(table, 8, effects), equivalence=5).set_index("method")["verdict"]
    assert (wide[["good", "bad", "same"]] == "equivalent").all()
    none = score(many(table, 8, effects), equivalence=0).set_index("method")["verdict"]
    assert none["same"] in ("worse", "unresolved")


def test_holm_adjusts_for_the_declared_family_alone(table: Callable) -> None:
    cells = many(table, 6, {"a": -4, "b": -4, "c": -4, "random": 4})
    everything = score(cells).set_index("method")
    assert everything.loc["a", "p_baseline"] == pytest.approx(4 / 32)
    assert everything.loc["a", "against_baseline"].endswith("6 seeds and 4 methods")
    found = score(cells, primary=["a"]).set_index("method")
    assert found["p_baseline"].drop("dense").tolist() == pytest.approx([1 / 32] * 4)
    assert found.loc["a", "against_baseline"] == "better than dense (p = 0.031)"
    assert found.loc["b", "against_baseline"] == "better than dense (p = 0.031), exploratory"
    assert found.loc["c", "against_reference"] == "better than random (p = 0.031), exploratory"
    assert found.loc["a", "verdict"] == "better"
    assert found["primary"].to_dict() == {
        "a": True, "b": False, "c": False, "random": False, "dense": False,
    }  # fmt: skip
    with pytest.raises(PrunebenchError, match="primary: no method 'aa'; did you mean 'a'"):
        score(cells, primary=["aa"])


def test_controls_are_outside_the_family_unless_it_names_them(table: Callable) -> None:
    cells = many(table, 6, {"a": -4, "longer": 4, "random": 4})
    control = cells["method"].isin(["dense", "longer", "random"])
    for column in (control, control.map({True: "True", False: "False"}), control.astype(object)):
        marked = cells.assign(control=column)
        found = score(marked, primary=[]).set_index("method")
        assert found.index[found["primary"]].tolist() == ["a"]
        assert found.loc["a", "p_baseline"] == pytest.approx(1 / 32)
        assert found.loc["longer", "against_baseline"].endswith(", exploratory")
        named = score(marked, primary=["a", "longer"]).set_index("method")
        assert named.loc["a", "p_baseline"] == pytest.approx(2 / 32)
    unsaid = score(cells.assign(control=None)).set_index("method")
    assert unsaid["primary"].sum() == 3  # an old table: nobody is called a control


def over_tasks(table: Callable, count: int) -> pd.DataFrame:
    """Two methods on many tasks; the effect differs from task to task."""
    effects = np.random.default_rng(8).normal(-1, 1, count)
    parts = [many(table, 3, {"a": e, "b": -e / 9}, task=f"t{i}") for i, e in enumerate(effects)]
    return pd.concat(parts)


def test_nine_tasks_are_tested_with_wilcoxon_over_their_means(table: Callable) -> None:
    cells = over_tasks(table, 9)
    found = score(cells).set_index("method")
    wanted = {}
    for method in "ab":
        rows = cells[cells["method"] == method].set_index(["task", "seed"])["test_error"]
        dense = cells[cells["method"] == "dense"].set_index(["task", "seed"])["test_error"]
        wanted[method] = stats.wilcoxon((rows - dense).groupby("task").mean()).pvalue
    smaller, larger = sorted(wanted, key=lambda method: wanted[method])
    assert found.loc[smaller, "p_tasks"] == pytest.approx(2 * wanted[smaller])
    assert found.loc[larger, "p_tasks"] == pytest.approx(max(2 * wanted[smaller], wanted[larger]))
    assert found.loc["a", "against_tasks"].startswith("better than dense (p = 0.0")
    # nine tasks of three seeds are 27 units that are flipped
    assert found.loc["a", "against_baseline"].startswith("better than dense (p")
    assert set(found["interval_over"]) == {"seeds and tasks"}


def test_with_fewer_tasks_there_is_no_test_over_them(table: Callable) -> None:
    eight = score(over_tasks(table, 8)).set_index("method")
    assert eight["p_tasks"].isna().all()
    assert eight["against_tasks"].to_dict() == {"a": "–", "b": "–", "dense": "reference"}
    assert set(eight["interval_over"]) == {"seeds and tasks"}
    assert set(score(over_tasks(table, 7))["interval_over"]) == {"seeds"}
