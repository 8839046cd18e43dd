"""The detector: what torchvision's own heads give, and filters that really go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.export_formats import onnx_bytes
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Model
from prunebench.pruning.macs import macs
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


def test_macs_by_hand() -> None:
    """Each position of each level: pyramid, a convolution of each head, 5 classes and 5 numbers."""
    model, image = detector(), torch.randn(1, 1, 64, 64)
    sides, width = (16, 8, 4), 32
    assert counts(64, 64) == [side**2 for side in sides]
    given = [feature.shape[1] for feature in model.backbone(image)]
    heads = 2 * 9 * width**2 + 9 * width * (5 + 5)
    expected = sum(
        side**2 * (channels * width + 9 * width**2 + heads)
        for side, channels in zip(sides, given, strict=True)
    )
    backbone = 0

    def convolved(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal backbone
        backbone += module.weight.numel() * output[0, 0].numel()

    convolutions = [m for m in model.backbone.modules() if isinstance(m, nn.Conv2d)]
    handles = [module.register_forward_hook(convolved) for module in convolutions]
    model.backbone(image)
    for handle in handles:
        handle.remove()
    assert macs(model, image, {}) == (backbone + expected, backbone + expected)
    # a mask of the class head saves its weights once at every position of every level
    name = "classes.conv.0.weight"
    mask = torch.ones_like(dict(model.named_parameters())[name], dtype=torch.bool)
    mask[:8] = False
    saved = 8 * 9 * width * sum(counts(64, 64))
    assert macs(model, image, {name: mask})[1] == backbone + expected - saved


@pytest.mark.slow
@pytest.mark.parametrize("shrunk", [False, True])
def test_the_exported_file_computes_the_same(shrunk: bool) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model, images = detector(), torch.randn(4, 1, 64, 64)
    if shrunk:
        masks = prunebench.prune(model, "l1-filter", 0.5, example=images)
        model = shrink(model, masks, images[:1]).model
    session = onnxruntime.InferenceSession(
        onnx_bytes(model, images[:2]), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["answers"], {"inputs": images.numpy()})
    wanted = model(images).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


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
