"""Times, sizes and layers of a tiny grid: the looks after training, and their tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import pipeline
from prunebench.storage.layout import LATENCY, PROBES
from prunebench.storage.records import SENSITIVITY_COLUMNS

GRID: dict[str, Any] = {
    "experiment": "timed",
    "tasks": [{"name": "digits", "train": 120, "val": 50, "test": 80}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0, 1],
    "methods": ["magnitude", {"name": "l1-filter", "allocation": "uniform"}],
    "sparsities": [0.5],
    "training": {"epochs": 3, "recovery_epochs": 1, "batch_size": 20},
    "probes": {
        "run": ["shrunk", "encoded", "quantized"], "sensitivity": ["l1-filter", "random-block"],
    },
    "latency": {"engines": ["eager", "semi-structured"], "batches": [8, 1], "repeats": 3},
}  # fmt: skip
DATA = "data"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    folder = tmp_path_factory.mktemp("grid")
    made = Plan(config.parse(GRID), folder / "results")
    deterministic = torch.are_deterministic_algorithms_enabled()
    pipeline.run(made, folder / DATA)
    yield made
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def cells(plan: Plan) -> pd.DataFrame:
    return pd.read_csv(plan.layout.cells_csv).set_index(["seed", "method"]).sort_index()


def test_filters_shrink_and_scattered_weights_do_not(cells: pd.DataFrame) -> None:
    for seed in (0, 1):
        own = cells.loc[seed]
        assert own["shrink"].to_dict() == {
            "dense": "unchanged", "l1-filter": "verified", "magnitude": "unchanged",
        }  # fmt: skip
        assert own.loc["l1-filter", "shrink_difference"] <= 1e-4
        assert own.loc["l1-filter", "params_shrunk"] < own.loc["dense", "params_total"]
        assert own.loc["l1-filter", "shrunk_speedup"] > 1.2
        # half of the weights are gone: a bitmap costs a bit each
        assert (
            own.loc["magnitude", "bytes_compressed"] < 0.65 * own.loc["dense", "bytes_compressed"]
        )
        assert (own["bytes_quantized"] < own["bytes_onnx"]).all()
        assert (own["quantized_error"] - own["test_error"]).abs().max() < 0.2


def test_times_are_of_the_first_seed_alone(plan: Plan, cells: pd.DataFrame) -> None:
    columns = ["latency_ms", "latency_dense_ms", "quantized_latency_ms", "quantized_speedup"]
    assert (cells.loc[0, columns] > 0).all(axis=None)
    assert cells.loc[1, columns].isna().all(axis=None)
    pruned = cells.loc[0].drop("dense")
    assert (pruned[["measured_speedup", "measured_speedup_batch"]] > 0).all(axis=None)
    assert pd.isna(cells.loc[(0, "dense"), "measured_speedup"])


def test_every_time_is_a_row(plan: Plan) -> None:
    times = pd.read_csv(plan.layout.latency_csv)
    eager = times[times["engine"] == "eager"]
    found = eager.groupby("method")["network"].agg(set).to_dict()
    assert found == {
        "dense": {"dense"}, "magnitude": {"dense", "masked"},
        "l1-filter": {"dense", "masked", "shrunk"},
    }  # fmt: skip
    assert (eager["low_ms"] <= eager["median_ms"]).all()
    assert (eager["median_ms"] <= eager["high_ms"]).all()
    assert set(eager["batch"]) == {1, 8}
    assert set(eager["repeats"]) == {3}
    refused = times[times["engine"] == "semi-structured"]
    assert refused["median_ms"].isna().all()
    assert refused["message"].str.contains("not measured on this hardware").all()
    eight = set(times.loc[times["network"].str.contains("int8"), "network"])
    assert eight == {"dense int8", "masked int8", "shrunk int8"}


def test_layers_are_those_of_the_masks(plan: Plan, cells: pd.DataFrame) -> None:
    layers = pd.read_csv(plan.layout.layers_csv)
    assert set(layers["seed"]) == {0}
    for method, rows in layers.groupby("method"):
        record = cells.loc[(0, method)]
        gone = rows["weights"].sum() - rows["kept"].sum()
        assert gone == pytest.approx(record["params_total"] - record["params_kept"], abs=200)
        assert rows["place"].tolist() == list(range(len(rows)))
    filters = layers[layers["method"] == "l1-filter"].set_index("layer")
    # of the head inputs go, never classes
    assert (filters["units_kept"] < filters["units"]).tolist() == [True] * 4 + [False]
    assert filters.index[-1] == "head.weight"


def test_each_layer_alone_is_measured_on_the_dense_networks(plan: Plan) -> None:
    found = pd.read_csv(plan.layout.sensitivity_csv)
    assert tuple(found.columns) == SENSITIVITY_COLUMNS
    filters = found[found["method"] == "l1-filter"]
    layers = ["features.0.weight", "features.3.weight", "hidden.0.weight", "hidden.2.weight"]
    for seed in (0, 1):
        own = filters[filters["seed"] == seed]
        assert own["layer"].tolist() == layers
        assert own["place"].tolist() == [0, 1, 2, 3]
        assert own["dense_loss"].nunique() == 1
        assert (own["removed"] == 0.5).all()
        assert (own["samples"] == 120).all()
        assert (own["loss"] != own["dense_loss"]).all()
    # times are of the seeds whose networks are timed
    assert (filters.loc[filters["seed"] == 0, "ms"] > 0).all()
    assert filters.loc[filters["seed"] == 1, "ms"].isna().all()
    refused = found[found["method"] == "random-block"]
    assert refused["loss"].isna().all()
    assert refused["message"].str.contains("no residual block").all()
    assert len(refused) == 2


def test_nothing_is_measured_twice_unless_asked_otherwise(plan: Plan) -> None:
    root = plan.layout.root
    data = root.parents[1] / DATA

    def written(name: str) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in root.rglob(name)}

    before = {name: written(name) for name in (PROBES, LATENCY)}
    assert pipeline.latencies(plan, "digits", data) == 3
    assert pipeline.probes(plan, "digits-0", data) == 6
    assert {name: written(name) for name in before} == before
    more = Plan(
        config.parse({**GRID, "latency": {"engines": ["eager"], "repeats": 2}}), root.parent
    )
    pipeline.latencies(more, "digits", data)
    assert all(written(LATENCY)[path] > time for path, time in before[LATENCY].items())
    assert written(PROBES) == before[PROBES]
