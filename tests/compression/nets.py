"""Small networks with trained-looking values, and what the tests ask of every shrunk one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache

import timm
import torch
from torch import Tensor, nn

from prunebench.compression.shrink import TOLERANCE, Shrunk, shrink, verify
from prunebench.experiment.part_kinds import Network
from prunebench.experiment.registry import builtin
from prunebench.experiment.settings import Model
from prunebench.pruning.masks import apply
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models


def build(name: str, in_channels: int = 3, size: int = 32, **arguments: object) -> nn.Module:
    """A network of the suite or of timm for 5 classes, livened; a copy for each test."""
    return deepcopy(_built(name, in_channels, size, json.dumps(arguments)))


@cache
def _built(name: str, channels: int, size: int, given: str) -> nn.Module:
    arguments = json.loads(given)
    if name in builtin(Network):
        facts = NetworkFacts.of_images(5, channels, size)
        model = models.create(Model(name=name, arguments=arguments), facts, seed=0)
    else:
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=5, in_chans=channels, **arguments)
    return calibrated(liven(model), images(16, channels, size))


@torch.no_grad()
def calibrated(model: nn.Module, inputs: Tensor) -> nn.Module:
    """Batch norms with the statistics of the inputs, so that the outputs depend on them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    model(inputs)
    return model.eval()


@torch.no_grad()
def liven(model: nn.Module, seed: int = 1) -> nn.Module:
    """Weights of unit gain, statistics, scales and shifts as of a trained network, in eval mode."""
    draw = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            module.running_mean.normal_(0, 0.5, generator=draw)
            module.running_var.uniform_(0.5, 2, generator=draw)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.normal_(0.3, 0.5, generator=draw)
        elif parameter.ndim:
            scale = (2 / parameter[0].numel()) ** 0.5
            parameter.normal_(0, scale, generator=draw)
    return model.eval()


def images(count: int = 4, channels: int = 3, size: int = 32) -> Tensor:
    draw = torch.Generator().manual_seed(2)
    return 3 * torch.randn(count, channels, size, size, generator=draw)


def parameters(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


def masked(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    copy = deepcopy(model)
    apply(copy, masks)
    return copy.eval()


def exactly(
    model: nn.Module, masks: Mapping[str, Tensor], inputs: Tensor, round_to: int = 1
) -> Shrunk:
    """Shrink, and check that the outputs are the masked one's and the given model is unchanged."""
    before = deepcopy(model.state_dict())
    shrunk = shrink(model, masks, inputs[:1], round_to)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert verify(masked(model, masks), shrunk.model, inputs) <= TOLERANCE
    return shrunk


def gone(model: nn.Module, layer: str, *rows: int) -> dict[str, Tensor]:
    """Masks without some rows of a layer's weight."""
    weight = model.get_parameter(f"{layer}.weight")
    mask = torch.ones(weight.shape, dtype=torch.bool)
    mask[list(rows)] = False
    return {f"{layer}.weight": mask}
