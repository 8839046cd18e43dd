"""The detector: what torchvision's own heads give, and filters that really go."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import prunebench
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Model
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.positions import counts
from prunebench.training.models import create


def detector(size: int = 64, **arguments: object) -> nn.Module:
    model = Model(name="fcos", arguments={"channels": 32, **arguments})
    return create(model, NetworkFacts.of_images(5, 1, size), seed=0).eval()


@torch.no_grad()
def test_it_gives_what_torchvisions_heads_give() -> None:
    model, images = detector(), torch.randn(2, 1, 64, 64)
    features = {str(i): level for i, level in enumerate(model.backbone(images))}
    levels = list(model.pyramid(features).values())
    expected = torch.cat([model.classes(levels), *model.boxes(levels)], -1)
    torch.testing.assert_close(model(images), expected, rtol=0, atol=0)
    assert expected.shape == (2, sum(counts(64, 64)), 5 + 5)


def test_half_of_its_filters_go() -> None:
    model, images = detector(), torch.randn(4, 1, 64, 64)
    before = sum(value.numel() for value in model.parameters())
    masks = prunebench.prune(model, "l1-filter", 0.5, example=images)
    for last in ("classes.cls_logits.weight", "boxes.bbox_reg.weight"):  # inputs may go with theirs
        assert last not in masks or masks[last].flatten(1).any(1).all()
    found = shrink(model, masks, images[:1])
    assert verify(model, found.model, images) <= TOLERANCE
    assert sum(value.numel() for value in found.model.parameters()) < 0.6 * before


def test_what_it_cannot_be_built_of() -> None:
    with pytest.raises(PrunebenchError, match="channels must be a multiple of 32, found 40"):
        detector(channels=40)
    with pytest.raises(PrunebenchError, match="'test_vit' has no features at a stride of 4"):
        detector(backbone="test_vit")
