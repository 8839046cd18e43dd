"""Shrunk networks of every kind as ONNX files, in single precision and in 8 bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import prunebench
from prunebench.compression.export_formats import Deployed
from prunebench.compression.onnx_int8 import pair
from prunebench.compression.quantize import predict
from prunebench.compression.smallest_network import smallest
from prunebench.pruning.masks import apply
from prunebench.tasks.forms import FORMS
from tests.compression.nets import build, parameters
from tests.kinds import classes

MOMENTS = (torch.tensor([120.0, 110.0, 100.0]), torch.tensor([60.0, 70.0, 80.0]))
NETWORKS = {
    "seed-cnn": {}, "test_resnet": {}, "test_efficientnet": {}, "test_convnext": {},
    "test_vit": {"img_size": 32},
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shrunk_network_computes_the_same_as_a_file(name: str) -> None:
    draw = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (48, 3, 32, 32), generator=draw, dtype=torch.uint8)
    mean, std = (value.view(-1, 1, 1) for value in MOMENTS)
    inputs = (pixels - mean) / std
    model = build(name, **NETWORKS[name])
    method = {"criterion": "l2-norm", "pattern": "filter"}
    masks = prunebench.prune(model, method, 0.5, batches=[(inputs, torch.zeros(48).long())])
    apply(model, masks)
    network = smallest(model, masks, inputs)
    assert network.kind == "shrunk"
    assert parameters(network.model) < 0.6 * parameters(model)
    with torch.inference_mode():
        want = model(inputs).numpy()
    single, eight = pair(Deployed(network.model, *MOMENTS, FORMS["pixels"], classes(5)), pixels)
    images = pixels.numpy()
    found, rounded = (predict(file.runner(1), images) for file in (single, eight))
    size = np.abs(want).max()
    assert np.abs(found - want).max() <= 1e-3 * size
    # 8 bits round: the outputs move, and still go together
    assert np.abs(rounded - want).max() > 0
    assert np.corrcoef(rounded.ravel(), want.ravel())[0, 1] > 0.9
    assert eight.compressed < single.compressed
