"""Weights that are loaded: named by what they are, of any wrapper, and of no other network."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Model
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training.loaded_weights import fill, hash_of_tensors
from prunebench.training.models import create
from tests.messages import unsaid
from tests.plans import GRID, cells, plan


def test_the_hash_of_weights_is_that_of_their_values() -> None:
    one = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1)}
    known = hash_of_tensors(one)
    assert hash_of_tensors({"b": torch.tensor(1), "a": one["a"].t().contiguous().t()}) == known
    for other in (
        {**one, "a": one["a"] + 1e-6},
        {**one, "a": one["a"].view(3, 2)},
        {**one, "a": one["a"].double()},
        {"c": one["a"], "b": one["b"]},
    ):
        assert hash_of_tensors(other) != known


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def _written(path: Path, state: dict[str, Any]) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def _prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("file", ["w.safetensors", "w.pt"])
def test_weights_of_any_wrapper(tmp_path: Path, file: str, prefix: str) -> None:
    trained, drawn = _net(), _net()
    fill(drawn, _written(tmp_path / file, _prefixed(trained.state_dict(), prefix)), "models: mine")
    for name, value in trained.state_dict().items():
        assert torch.equal(drawn.state_dict()[name], value)


def test_weights_beside_other_things_in_a_checkpoint(tmp_path: Path) -> None:
    trained, drawn = _net(), _net()
    kept = {"epoch": 3, "state_dict": nn.DataParallel(trained).state_dict(), "best": 0.1}
    fill(drawn, _written(tmp_path / "w.pth", kept), "models: mine")
    assert torch.equal(drawn[0].weight, trained[0].weight)


def test_a_network_may_have_a_part_named_module(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = _net()

    trained, drawn = Wrapped(), Wrapped()
    fill(drawn, _written(tmp_path / "w.pt", trained.state_dict()), "models: mine")
    assert torch.equal(drawn.module[0].weight, trained.module[0].weight)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    state = _net().state_dict()
    state["3.weight"] = state.pop("2.weight")
    state["0.weight"] = torch.zeros(4, 5)
    before = _net()
    held = {name: value.clone() for name, value in before.state_dict().items()}
    with pytest.raises(PrunebenchError) as caught:
        fill(before, _written(tmp_path / "w.pt", state), "models: mine")
    where, shape = f"models: mine: weights {tmp_path / 'w.pt'}", "0.weight [4, 5], not [4, 3]"
    assert unsaid(str(caught.value), where, "lacks 2.weight", "3.weight", shape) == []
    assert all(torch.equal(held[name], value) for name, value in before.state_dict().items())


class _Harm:
    def __reduce__(self) -> Any:
        return (os.mkdir, (os.environ["HARM"],))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_Harm(), "holds more than tensors"),
        ({"epoch": 3}, "holds no state dict"),
        ({}, "holds no state dict"),
        (torch.zeros(3), "holds no state dict"),
    ],
)
def test_what_is_no_state_dict(tmp_path: Path, monkeypatch, content: Any, message: str) -> None:
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(PrunebenchError, match=message):
        fill(_net(), tmp_path / "w.pt", "models: mine")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("file", ["w.safetensors", "w.pt"])
def test_a_damaged_file(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"nothing")
    with pytest.raises(PrunebenchError, match=rf"w.{file[2:]}: (cannot be read|holds more)"):
        fill(_net(), tmp_path / file, "models: mine")


def test_a_model_starts_from_its_weights(tmp_path: Path) -> None:
    facts = NetworkFacts.of_images(10, 1, 16)
    trained = create(Model(name="seed-cnn"), facts, seed=3)
    path = _written(tmp_path / "w.safetensors", trained.state_dict())
    model = Model(name="seed-cnn", weights=str(path))
    found = create(model, facts, seed=0).state_dict()
    assert hash_of_tensors(found) == hash_of_tensors(trained.state_dict())
    assert model.loads
    assert not model.drawn().loads
    with pytest.raises(PrunebenchError, match="have only the width they came with"):
        create(model, facts, seed=0, width=2)


def test_weights_name_results_by_their_content(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    def named(**model: str) -> dict[tuple, str]:
        return cells(plan(models=[{"name": "seed-cnn", **model}]))

    Path("a.pt").write_bytes(b"one")
    Path("b.pt").write_bytes(b"one")
    one = named(weights="a.pt")
    assert named(weights="b.pt") == one
    assert set(one.values()).isdisjoint(named().values())
    Path("a.pt").write_bytes(b"two")
    assert set(one.values()).isdisjoint(named(weights="a.pt").values())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"weights": "none.pt"}, "models: seed-cnn: weights: none.pt is no file"),
        ({"weights": "a.pt", "pretrained": True}, "weights and pretrained: training starts from"),
    ],
)
def test_weights_that_cannot_be(tmp_path: Path, monkeypatch, model: Any, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pt").write_bytes(b"")
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        config.parse({**GRID, "models": [{"name": "seed-cnn", **model}]})


def test_what_is_pruned_may_train_where_loaded_weights_do_not(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pt").write_bytes(b"")
    model = {"name": "seed-cnn", "weights": "a.pt"}

    def parsed(methods: list[str], **training: int) -> None:
        config.parse({**GRID, "models": [model], "methods": methods, "training": training})

    parsed(["magnitude", "l1-filter"], epochs=0, recovery_epochs=2)
    with pytest.raises(PrunebenchError, match="epochs: 0 allows no training without recovery_epo"):
        parsed(["magnitude"], epochs=0)
    with pytest.raises(
        PrunebenchError, match="imp: trains, and epochs: 0 allows no training as lo"
    ):
        parsed(["imp"], epochs=0, recovery_epochs=2)
