"""Layers are changed in one pass of all batches, just as in a pass for each layer."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from prunebench.pruning.criteria import _batches_in_step, _layer_inputs
from prunebench.pruning.criteria._batches_in_step import OutOfStepError, layer_by_layer
from prunebench.pruning.criteria._layer_inputs import change_in_order
from prunebench.pruning.view import View


class Net(nn.Module):
    """A convolution and two linear layers, declared in another order than they run in."""

    def __init__(self, twice: bool = False) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)
        self.last, self.twice = nn.Linear(6, 5), twice
        self.square = nn.Linear(5, 5)
        self.first = nn.Conv2d(2, 6, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        found = self.first(images).relu().mean((2, 3))
        found = self.square(self.last(input=found).relu())
        return self.head(self.square(found) if self.twice else found)


def view(twice: bool = False) -> View:
    torch.manual_seed(0)
    sizes = (4, 3, 1)
    return View(
        Net(twice),
        batches=[(torch.randn(size, 2, 6, 6), torch.zeros(size).long()) for size in sizes],
    )


def changed(seen: View) -> dict[str, Tensor]:
    """Take from each weight what its inputs say, and note the sums; by name, in order."""
    sums: dict[str, Tensor] = {}

    def change(name: str, total: Tensor) -> None:
        sums[name] = total.clone()
        weight = seen.layers[name].weight
        with torch.no_grad():
            weight.sub_(total.flatten()[: weight.numel()].resize_as_(weight) / 50)

    change_in_order(seen, list(seen.layers), lambda rows: rows.mT @ rows, change)
    return sums


ORDER = ["first.weight", "last.weight", "square.weight"]


def test_one_pass_gives_what_a_pass_for_each_layer_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    together = view()
    one = changed(together)
    monkeypatch.setattr(_batches_in_step, "MOST", 0)
    apart = view()
    two = changed(apart)
    assert list(one) == list(two) == ORDER
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(torch.equal(together.weights[name], apart.weights[name]) for name in one)


def test_each_layer_sees_what_the_changed_ones_give() -> None:
    seen = view()
    sums = changed(seen)
    model = seen.model  # all but the last are as they were when the last was looked at
    total = torch.zeros(5, 5)
    for inputs, _ in seen.batches:
        rows = model.last(model.first(inputs).relu().mean((2, 3))).relu()
        total += rows.mT @ rows
    assert torch.allclose(sums["square.weight"][0], total, rtol=1e-5)


def test_a_layer_that_runs_twice_takes_a_pass_of_its_own() -> None:
    seen = view(twice=True)
    dense = view(twice=True)
    sums = changed(seen)
    assert list(sums) == ORDER
    with torch.no_grad():  # the layers before are changed, this one is whole in both of its runs
        for name in ORDER[:2]:
            dense.layers[name].weight.copy_(seen.layers[name].weight)
    rows: list[Tensor] = []
    dense.model.square.register_forward_pre_hook(lambda _, args: rows.append(args[0].detach()))
    for inputs, _ in dense.batches:
        dense.model(inputs)
    every = torch.cat(rows)
    assert len(every) == 2 * 8
    assert torch.allclose(sums["square.weight"][0], every.mT @ every, rtol=1e-5)


def test_one_pass_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> None:
        raise AssertionError("a pass for each layer")

    monkeypatch.setattr(_layer_inputs, "input_sums", never)
    seen = view()
    passes: list[int] = []
    seen.model.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    changed(seen)
    assert passes == [4, 3, 1]


def test_batches_that_go_other_ways_are_out_of_step() -> None:
    class Ways(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.few, self.many = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, rows: Tensor) -> Tensor:
            return (self.few if len(rows) < 2 else self.many)(rows)

    model, before = Ways(), threading.active_count()
    with pytest.raises(OutOfStepError):
        layer_by_layer(
            model, [model.few, model.many], [torch.ones(1, 2), torch.ones(3, 2)],
            lambda *_: None, lambda _: None,
        )  # fmt: skip
    assert threading.active_count() == before
    assert not model.few._forward_pre_hooks


def test_an_error_of_the_network_is_raised_and_ends_all_passes() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, rows: Tensor) -> Tensor:
            found = self.layer(rows)
            if len(rows) == 3:
                raise ValueError("three rows")
            return found

    model, before = Fails(), threading.active_count()
    with pytest.raises(ValueError, match="three rows"):
        layer_by_layer(
            model, [model.layer], [torch.ones(1, 2), torch.ones(3, 2)],
            lambda *_: None, lambda _: None,
        )  # fmt: skip
    assert threading.active_count() == before
