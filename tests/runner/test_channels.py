"""A grid whose shrunk networks keep what an engine was found to like, by a made-up clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from prunebench.compression import timing
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.reproduce.verify.stored_experiment import load, reduced
from prunebench.runner import pipeline
from prunebench.runner.export_cell import rebuilt_cell
from prunebench.storage.files import read_sealed

GRID: dict[str, Any] = {
    "experiment": "rounded",
    "tasks": [{"name": "digits", "train": 120, "val": 50, "test": 80}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0, 1],
    "methods": [{"name": "l1-filter", "allocation": "uniform"}],
    "sparsities": [0.3],
    "training": {"epochs": 2, "recovery_epochs": 1, "batch_size": 20},
    "probes": {"run": ["shrunk"], "round_to": "measured"},
    "latency": {"engines": ["eager"], "batches": [1], "repeats": 2, "warm_up": 0},
}
DATA = "data"


def channels(model: nn.Module) -> list[int]:
    return [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    folder = tmp_path_factory.mktemp("grid")
    made = Plan(config.parse(GRID), folder / "results")
    deterministic = torch.are_deterministic_algorithms_enabled()

    def in_fours(call: Any, given: Any) -> float:
        del given
        return float(sum(count * (1 if count % 4 == 0 else 4) for count in channels(call)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(timing.TIMERS, "cpu", in_fours)
        pipeline.run(made, folder / DATA)
        yield made
    torch.use_deterministic_algorithms(deterministic)


def test_the_record_says_what_was_found_and_the_network_keeps_it(plan: Plan) -> None:
    cells = pd.read_csv(plan.layout.cells_csv)
    assert (cells["channels_multiple"] == 4).all()
    data = plan.layout.root.parents[1] / DATA
    [cell] = plan.curve(plan.baselines[1], plan.experiment.methods[0])
    prepared = next((data / "prepared").glob("digits-*.safetensors"))
    one = rebuilt_cell(cell, prepared, 1).network
    as_measured = rebuilt_cell(cell, prepared).network
    assert (one.kind, as_measured.kind) == ("shrunk", "shrunk")
    least = channels(one.model)
    assert any(count % 4 for count in least)
    assert channels(as_measured.model) == [-(-count // 4) * 4 for count in least]


def test_the_times_are_stored_and_not_taken_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plan.layout.job("channels", "digits")
    [network] = read_sealed(path)["networks"]
    assert (network["model"], network["engine"], network["multiple"]) == ("seed-cnn", "eager", 4)
    assert [row["channels"] for row in network["times"]] == [5, 6, 8, 11, 12, 16]

    def never(call: Any, given: Any) -> float:
        raise AssertionError("measured again")

    monkeypatch.setitem(timing.TIMERS, "cpu", never)
    before = path.read_bytes()
    pipeline.channels(plan, "digits", plan.layout.root.parents[1] / DATA)
    assert path.read_bytes() == before


def test_who_verifies_a_cell_takes_the_multiple_that_was_measured(plan: Plan) -> None:
    stored = load(plan.layout.root)
    assert set(stored.multiples.values()) == {4}
    cell = next(cell for cell in stored.rows if cell.method == "l1-filter")
    assert reduced(stored.experiment, cell, stored.multiples[cell]).probes.round_to == 4


def test_without_an_engine_it_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="round_to: measured needs an engine"):
        config.parse(GRID | {"latency": {"engines": []}})


def test_where_it_was_not_measured_that_is_said(plan: Plan, tmp_path: Path) -> None:
    other = Plan(plan.experiment, tmp_path)
    job = pipeline._context(other, other.baselines[0], plan.layout.root.parents[1] / DATA)
    from prunebench.runner.channels import round_to

    with pytest.raises(PrunebenchError, match=r"channels/digits\.json"):
        round_to(job, other.baselines[0])
