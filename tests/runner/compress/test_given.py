"""A network and data that are given in Python, as files that an experiment can name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Model, Task
from prunebench.runner import pipeline
from prunebench.runner.compress.given import giving, store_data, store_network
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.sources.own import read
from prunebench.training.models import create

FACTS = NetworkFacts.of_images(2, 1, 4)


class Given(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.body = nn.Linear(16, width)
        self.head = nn.Linear(width, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images.flatten(1)))


def test_a_network_is_built_again_while_it_is_given(tmp_path: Path) -> None:
    network = Given()
    architecture, weights = store_network(network, tmp_path)
    model = Model(name="given", architecture=architecture, weights=str(weights))
    with giving(network):
        one, two = (create(model, FACTS, seed=seed) for seed in (0, 1))
    assert one is not network
    for name, value in network.state_dict().items():
        assert torch.equal(one.state_dict()[name], value)
        assert torch.equal(two.state_dict()[name], value)
    one.head.weight.data.zero_()
    assert network.head.weight.any()
    with pytest.raises(PrunebenchError, match=r"call prunebench\.compress with it"):
        create(model, FACTS, seed=0)


def test_its_experiment_is_computed_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No other process has the network; two cells, their measures and the table are counted."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 10))
    architecture, weights = store_network(network, tmp_path)
    parsed = config.parse(
        {
            "experiment": "given", "regimes": ["clean"], "seeds": [0], "sparsities": [0.5],
            "tasks": [{"name": "digits", "train": 40, "val": 40, "test": 40}],
            "methods": [{"name": "m", "criterion": "magnitude", "recovery": "none"}],
            "models": [{"name": "n", "architecture": architecture, "weights": str(weights)}],
            "training": {"epochs": 10, "batch_size": 10}, "probes": {"run": []},
        }
    )  # fmt: skip
    plan = Plan(parsed, tmp_path / "results")
    with giving(network):
        table = pd.read_csv(pipeline.run(plan, tmp_path / "data"))
    assert table["status"].tolist() == ["ok", "ok"]
    counted = [line.partition(" ")[0] for line in capsys.readouterr().err.splitlines()]
    assert counted == ["[1/4]", "[2/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert table["params_kept"].tolist() == [256 * 8 + 8 + 80 + 10, 128 * 8 + 8 + 80 + 10]


def test_another_structure_is_another_network(tmp_path: Path) -> None:
    texts = []
    for place, network in enumerate((Given(), Given(), Given(width=4))):
        architecture, _ = store_network(network, tmp_path / str(place))
        texts.append(Path(architecture.rpartition(":")[0]).read_text())
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_splits_are_stored_as_arrays(tmp_path: Path) -> None:
    inputs, targets = torch.randn(6, 1, 2, 2), torch.arange(6) % 2
    path = store_data(
        {
            "train": torch.utils.data.TensorDataset(inputs, targets),
            "test": (inputs[:2].numpy(), [1, 0]), "classes": ["no", "yes"],
        },
        tmp_path,
    )  # fmt: skip
    raw = read(Task(name="mine", source="own", path=str(path)), tmp_path)
    assert raw.names == ("no", "yes")
    np.testing.assert_array_equal(raw.train.inputs, inputs.numpy())
    assert raw.train.targets.tolist() == targets.tolist()
    assert raw.test is not None
    assert raw.test.targets.tolist() == [1, 0]
    assert raw.val is None
