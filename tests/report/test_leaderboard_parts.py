"""What the page holds beside its main table: scores of every choice, cells, recipes."""

from __future__ import annotations

import itertools
import math
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prunebench.experiment import config
from prunebench.experiment.settings import Analysis
from prunebench.report.leaderboard.recipes import recipes
from prunebench.report.leaderboard.row_details import points
from prunebench.report.leaderboard.subsets import ALL, EVERYTHING, _depth, _ways, tables
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout


def test_a_sparsity_is_scored_on_its_own_cells(cells: pd.DataFrame) -> None:
    chosen = cells[cells["regime"] == "noisy-40"]
    found = tables(chosen, Analysis(primary=["imp", "magnitude"]))
    assert found.depth == 2  # one task and one regime are no choice
    assert len(found.rows) == (1 + 2) * (1 + 6)
    for row in found.rows[ALL, ALL, "seed-cnn", "75 %"]:
        gaps = []
        for seed in (0, 1, 2):
            at = (chosen["model"] == "seed-cnn") & (chosen["seed"] == seed)
            dense = chosen.loc[at & (chosen["method"] == "dense"), "test_error"].item()
            own = at & (chosen["method"] == row["method"]) & chosen["sparsity"].isin([0, 0.75])
            gaps.append(100 * (chosen.loc[own, "test_error"].item() - dense))
        assert row["score"] == pytest.approx(np.mean(gaps), abs=0.00501)
        assert row["cells"] == 3
        assert ("exploratory" in row["against_baseline"]) == (
            row["method"] not in ("dense", "imp", "magnitude")
        )


def test_a_method_without_the_chosen_sparsity_is_not_there(cells: pd.DataFrame) -> None:
    some = cells[(cells["method"] != "wanda") | (cells["sparsity"] == 0.5)]
    found = tables(some, Analysis(primary=["wanda"]))
    assert "wanda" in [row["method"] for row in found.rows[ALL, ALL, ALL, "50 %"]]
    assert "wanda" not in [row["method"] for row in found.rows[ALL, ALL, ALL, "75 %"]]


def test_sparsities_that_read_alike_stay_apart(cells: pd.DataFrame) -> None:
    close = cells.replace({"sparsity": {0.96875: 0.99991, 0.984375: 0.99992}})
    found = tables(close[close["regime"] == "clean"], Analysis(), limit=100)
    assert found.axes["sparsity"][-2:] == ["99.991 %", "99.992 %"]


@given(st.lists(st.integers(1, 5), max_size=4), st.integers(1, 4), st.integers(0, 400))
def test_as_many_choices_as_fit_are_held(sizes: list[int], methods: int, limit: int) -> None:
    combinations = itertools.product(*(range(size + 1) for size in sizes))
    chosen = [sum(place > 0 for place in places) for places in combinations]
    assert list(_ways(sizes)) == [chosen.count(k) for k in range(len(sizes) + 1)]
    axes = {str(i): ["x"] * size for i, size in enumerate(sizes)}
    offered = [size for size in sizes if size > 1]
    depth = _depth(axes, methods, limit)
    rows = [methods * sum(list(_ways(offered))[: d + 1]) for d in range(len(offered) + 1)]
    assert depth == max([0, *(d for d, count in enumerate(rows) if count <= limit)])


def test_points_are_the_means_over_seeds(cells: pd.DataFrame) -> None:
    held = points(cells)
    at = {column["key"]: 4 + i for i, column in enumerate(held.columns)}
    assert sum(map(len, held.methods.values())) == 4 * (1 + 7 * 6)
    for point in held.methods["imp"]:
        task, regime, model = held.settings[point[0]]
        own = cells[
            (cells["task"] == task) & (cells["regime"] == regime) & (cells["model"] == model)
            & (cells["method"] == "imp") & (cells["sparsity"] == held.sparsities[point[1]])
        ]  # fmt: skip
        errors = [100 * error for error in own.sort_values("seed")["test_error"]]
        mean = sum(errors) / 3
        std = math.sqrt(sum((error - mean) ** 2 for error in errors) / 2)
        assert point[at["test_error_mean"]] == pytest.approx(mean, abs=0.00501)
        assert point[at["test_error_std"]] == pytest.approx(std, abs=0.00501)
        # 4.3027 is Student's t with two degrees of freedom
        wanted = 4.3027 * std / math.sqrt(3)
        assert point[at["test_error_half"]] == pytest.approx(wanted, abs=0.00601)
        assert point[at["train_epochs_mean"]] == 80
        assert point[2] == "3 ok"
        said = [f"{seed}: {error:.2f}" for seed, error in enumerate(errors)]
        assert point[3] == "; ".join(said)
    assert "latency_ms_mean" not in at


def test_failed_cells_are_counted_and_shown(cells: pd.DataFrame) -> None:
    held = points(cells)
    failures = [(name, *rest) for name, lost in held.failures.items() for rest in lost]
    assert {(name, status, message) for name, _, _, _, status, message in failures} == {
        ("snip", "diverged", "made up"),
        ("apoz", "failed", "made up"),
        ("magnitude", "collapsed", ""),
    }
    lost = next(p for p in held.methods["snip"] if p[2] != "3 ok")
    assert lost[2] == "1 diverged, 2 ok"
    assert "1: diverged (90.00)" in lost[3]  # counts as a constant predictor of ten classes
    assert held.left_out == 0
    few = points(cells, records=10, failures=1)
    assert (few.each, few.left_out, sum(map(len, few.failures.values()))) == (False, 3, 1)
    assert all(point[3] == "" for listed in few.methods.values() for point in listed)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    given = {
        "experiment": "trial",
        "tasks": ["digits"],
        "regimes": ["clean", {"name": "noisy-40", "label_noise": 0.4}],
        "models": ["seed-cnn"],
        "seeds": [0, 1, 2],
        "methods": ["random", "imp", {"name": "mine", "criterion": "l1-norm"}],
        "sparsities": [0.5, 0.75],
        "analysis": {"primary": ["imp", "mine"], "equivalence": 0.7},
    }
    layout = Layout(tmp_path)
    write_text(layout.config, config.parse(given).model_dump_json())
    return layout


def test_a_recipe_is_a_configuration_of_that_method_alone(layout: Layout) -> None:
    whole = config.load(layout.config)
    found = recipes(layout)
    assert list(found.methods) == ["dense", "random", "imp", "mine"]
    for name in found.methods:
        alone = config.parse(yaml.safe_load(found.configuration(name)))
        names = {"dense": ["random"], "random": ["random"]}.get(name, [name, "random"])
        assert [method.name for method in alone.methods] == names
        assert all(method in whole.methods for method in alone.methods)
        assert alone.experiment == f"trial-{name}"
        assert alone.analysis.primary == ([name] if name in ("imp", "mine") else [])
        assert alone.analysis.equivalence == 0.7
        for part in ("tasks", "regimes", "models", "seeds", "sparsities", "training", "compute"):
            assert getattr(alone, part) == getattr(whole, part)
    assert "Frankle 2019" in found.methods["imp"].about


def test_the_command_writes_the_recipe_and_runs_it(layout: Layout, tmp_path: Path) -> None:
    found = recipes(layout)
    stub = 'snakemake() { echo "$@" > said; }\n'
    subprocess.run(["bash", "-euc", stub + found.command("imp")], cwd=tmp_path, check=True)
    assert (tmp_path / "said").read_text() == "--cores all --configfile trial-imp.yaml\n"
    assert (tmp_path / "trial-imp.yaml").read_text() == found.configuration("imp")


def test_without_a_configuration_there_is_no_recipe(tmp_path: Path) -> None:
    found = recipes(Layout(tmp_path))
    assert found.methods == {}
    assert found.missing == "config.json is not there"
    assert EVERYTHING == (ALL,) * 4
