"""Patterns name layers as their users mean them; what names nothing is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Prunable
from prunebench.pruning.layer_names import fits, unfitting
from prunebench.pruning.layers import sort_layers

WEIGHTS = ["conv1.0.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight", "fc.weight"]


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("fc.weight", [3]),
        ("fc", [3]),
        ("conv1", [0]),
        ("conv1.*", [0]),
        ("conv1*", [0]),
        ("layer1", [1, 2]),
        ("layer?.0", [1, 2]),
        ("*.conv1", [1]),
        ("re:conv1", [0]),
        (r"re:.*conv1(\.0)?\.weight", [0, 1]),
        ("re:conv", []),
        ("FC", []),
        ("", []),
        ("*", [0, 1, 2, 3]),
    ],
)
def test_a_pattern_names_weights_and_modules(pattern: str, named: list[int]) -> None:
    assert [n for n, weight in enumerate(WEIGHTS) if fits(pattern, weight)] == named


_PARTS = st.lists(st.text("ab01", min_size=1, max_size=3), min_size=1, max_size=4)


@given(_PARTS, st.integers(1, 4))
def test_the_name_of_every_module_around_names_a_weight(parts: list[str], depth: int) -> None:
    module, weight = ".".join(parts[:depth]), ".".join(parts)
    assert fits(module, weight)
    assert fits(f"re:{re.escape(module)}", weight)
    assert not fits(f"{module}x", weight)


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("conv1.0.weigth", "did you mean 'conv1.0.weight'"),
        ("layer2", "did you mean 'layer1'"),
        ("re:layer2", "did you mean 'layer1'"),
        ("zzz", "known: conv1"),
    ],
)
def test_what_names_nothing_is_said_with_the_nearest(pattern: str, near: str) -> None:
    found = unfitting("prunable: exclude", ["fc", pattern], WEIGHTS)
    assert list(found) == [pattern]
    assert found[pattern].startswith(f"prunable: exclude: '{pattern}' fits no layer or weight; ")
    assert near in found[pattern]


def test_a_broken_expression_is_refused_before_anything_is_built() -> None:
    for setting in ("exclude", "classifier"):
        with pytest.raises(ValidationError, match=r"'re:\(' is no regular expression"):
            Prunable.model_validate({setting: ["re:("]})


def test_layers_are_excluded_by_any_of_their_names() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    model[1].weight = model[0].weight
    for pattern in ("0", "1", "1.weight", "re:[01]"):
        layers = sort_layers(model, Prunable(exclude=[pattern]))
        assert layers.excluded == ("0.weight",)
        assert list(layers.prunable) == ["2.weight"]
        assert not layers.unfitting
    assert list(sort_layers(model, Prunable(exclude=["7", "2.bias"])).unfitting) == ["7"]
    with pytest.raises(PrunebenchError, match="nothing to prune"):
        sort_layers(model, Prunable(exclude=["*"]))
