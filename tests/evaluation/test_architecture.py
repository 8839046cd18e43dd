"""What networks of one architecture have in common is found once, and is what each would find."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from prunebench.errors import Refused
from prunebench.evaluation import architecture
from prunebench.evaluation.architecture import Architecture
from prunebench.evaluation.probes.shrunk import shrunk
from prunebench.evaluation.stored_network import Subject

from .probes.conftest import subject as subject  # the fixture


def test_many_networks_build_their_architecture_twice(subject: Callable[..., Subject]) -> None:
    alone = subject()
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(subject(dense=True).model)
        return built[-1]

    shared = Architecture(build, alone.normalize(alone.test_inputs[:1]))
    found = [shrunk(alone)]
    for _ in range(3):
        one = subject()
        other = Subject(**{**vars(one), "architecture": shared})
        found.append(shrunk(other))
    assert len(built) == 2  # for its groups, and for its operations
    assert all(each == found[0] for each in found)
    assert found[0]["shrink"] == "verified"


def test_a_dense_network_is_not_traced(subject: Callable[..., Subject]) -> None:
    def build() -> nn.Module:
        raise AssertionError("it has nothing to remove")

    dense = subject(dense=True)
    shared = Architecture(build, dense.normalize(dense.test_inputs[:1]))
    assert Subject(**{**vars(dense), "architecture": shared}).smallest.kind == "dense"


def test_what_cannot_be_traced_has_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told of each network: none is kept in its place."""

    def refuses(model: nn.Module, example: torch.Tensor) -> None:
        raise Refused("no")

    monkeypatch.setattr(architecture, "channel_groups", refuses)
    assert Architecture(lambda: nn.Linear(4, 2), torch.zeros(1, 4)).groups is None
