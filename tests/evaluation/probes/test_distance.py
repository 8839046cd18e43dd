"""Distance from initialization by hand and by loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from prunebench.evaluation.probes.distance import distance, distance_between
from prunebench.evaluation.stored_network import Subject


def test_by_hand() -> None:
    weights = {"a": torch.tensor([3.0, 0.0, 5.0]), "b": torch.tensor([[1.0]])}
    initial = {
        "a": torch.tensor([1.0, 9.0, 4.0]), "b": torch.tensor([[3.0]]), "count": torch.tensor(7),
    }  # fmt: skip
    masks = {"a": torch.tensor([True, False, True])}
    assert distance_between(weights, initial, masks) == 3  # √(2² + 1² + 2²); 9 is pruned
    assert distance_between(weights, initial, {}) == math.sqrt(90)
    assert distance_between(initial, initial, masks) == 0


@pytest.mark.parametrize("dense", [False, True])
def test_by_loops(subject: Callable[..., Subject], dense: bool) -> None:
    given = subject(dense=dense)
    total = 0.0
    for name, parameter in given.model.named_parameters():
        mask = given.masks.get(name, torch.ones(parameter.shape, dtype=torch.bool))
        flat = zip(
            parameter.flatten().tolist(), given.initial[name].flatten().tolist(),
            mask.flatten().tolist(), strict=True,
        )  # fmt: skip
        total += sum((after - before) ** 2 for after, before, kept in flat if kept)
    assert distance(given) == {"distance": pytest.approx(math.sqrt(total), rel=1e-9)}


def test_what_is_pruned_does_not_count(subject: Callable[..., Subject]) -> None:
    given = subject()
    found = distance(given)
    for name, mask in given.masks.items():
        given.initial[name][~mask] = 1e6
    assert distance(given) == found
    assert found["distance"] < distance(subject(dense=True))["distance"]


def test_what_is_no_number_is_left_out(subject: Callable[..., Subject]) -> None:
    given = subject()
    with torch.no_grad():
        next(given.model.parameters()).fill_(torch.nan)
    assert distance(given) == {}
