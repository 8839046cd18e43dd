"""Small networks, and what a probe is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.settings import Model
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.masks import apply
from prunebench.tasks.forms import FORMS
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from tests.kinds import classes


def normalize(images: Tensor) -> Tensor:
    scaled = images.to(torch.float32).sub_(100).div_(60)
    return scaled.contiguous(memory_format=torch.channels_last)


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """Makes a subject of a network, with 90 % of its weights pruned at random unless dense."""

    def make(
        architecture: str = "seed-cnn", *, dense: bool = False, samples: int = 40, **more: Any
    ) -> Subject:
        settings = Model(name="m", architecture=architecture)
        model = models.create(settings, NetworkFacts.of_images(10, 1, 16), seed=0).to(
            memory_format=torch.channels_last
        )
        initial = {name: value.clone() for name, value in model.state_dict().items()}
        draw = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
        masks = {} if dense else {
            name: torch.rand(layer.weight.shape, generator=draw) < 0.1
            for name, layer in prunable_layers(model).items()
        }  # fmt: skip
        apply(model, masks)
        images = torch.randint(0, 256, (200, 1, 16, 16), generator=draw, dtype=torch.uint8)
        labels = torch.randint(0, 10, (200,), generator=draw)
        given = {
            "model": model.eval(), "masks": masks, "initial": initial,
            "train_inputs": images[:120], "train_targets": labels[:120],
            "test_inputs": images[120:], "test_targets": labels[120:],
            "kind": classes(10), "form": FORMS["pixels"],
            "normalize": normalize, "moments": (torch.tensor([100.0]), torch.tensor([60.0])),
            "seed": 3, "samples": samples,
        }  # fmt: skip
        return Subject(**(given | more))

    return make


class Logistic(nn.Module):
    """Logits (w · x, 0) of images [N, 1, 1, D], so that losses and gradients are known."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, x: Tensor) -> Tensor:
        """Images to two logits [N, 2]."""
        score = x.flatten(1) @ self.weight
        return torch.stack([score, torch.zeros_like(score)], 1)
