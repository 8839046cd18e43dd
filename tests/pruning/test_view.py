"""Views: which batch norm reads a layer's output directly, and what lasts over rounds."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from prunebench.pruning.api import prune
from prunebench.pruning.coupling import find_groups
from prunebench.pruning.view import View
from prunebench.training.networks.cifar_resnet import resnet20


@pytest.mark.parametrize("inplace", [False, True])
def test_a_norm_behind_an_operation_in_place_is_not_its_own(inplace: bool) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=inplace), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 10),
    )  # fmt: skip
    assert norms_of(network, side=8) == {}


def norms_of(model: nn.Module, side: int = 32) -> dict[str, str]:
    batches = [(torch.randn(2, 3, side, side), torch.zeros(2, dtype=torch.long))]
    return View(model, batches=batches).own_norms


def test_own_norms_are_those_that_read_the_output_at_once():
    """Not those behind a concatenation; also where norm and activation are one module."""
    dense = timm.create_model("densenet121", growth_rate=4, block_config=(2,), num_classes=3)
    norms = norms_of(dense)
    assert norms["features.denseblock1.denselayer1.conv1.weight"].endswith("denselayer1.norm2")
    assert "features.denseblock1.denselayer1.conv2.weight" not in norms
    efficient = timm.create_model("test_efficientnet", num_classes=3)
    norms = norms_of(efficient)
    assert norms["blocks.3.0.conv_pwl.weight"] == "blocks.3.0.bn3"
    assert not any("se." in name for name in norms)


def test_rounds_trace_the_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are zero couple no other channels: the masks are those of tracing anew."""
    traced: list[int] = []

    def count(*args: Any) -> Any:
        traced.append(1)
        return find_groups(*args)

    def anew(self: View, masks: Any) -> View:
        view = pruned(self, masks)
        view.__dict__.pop("coupling", None)
        return view

    pruned = View.pruned
    monkeypatch.setattr("prunebench.pruning.view.find_groups", count)
    rounds = {"name": "at-initialization", "rounds": 3}
    method = {"criterion": "l1-norm", "pattern": "filter", "schedule": rounds}
    found = []
    for way in (pruned, anew):
        monkeypatch.setattr(View, "pruned", way)
        torch.manual_seed(0)
        model = resnet20()(num_classes=10, in_chans=3, image_size=(16, 16))
        found.append(
            prune(model, method | {"recovery": "weight-rewinding"}, 0.6,
                  example=torch.randn(2, 3, 16, 16))
        )  # fmt: skip
        traced.append(0)
    assert traced == [1, 0, 1, 1, 1, 0]
    assert all(torch.equal(found[0][name], mask) for name, mask in found[1].items())
