"""What is left of a masked network, and what is said where nothing can go."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunebench.compression import smallest_network as module
from prunebench.compression.smallest_network import smallest
from prunebench.pruning.masks import apply
from prunebench.storage.records import DIFFERENT, REFUSED, UNCHANGED, VERIFIED
from tests.compression.nets import build, images

IMAGES = images(4, 1, 8)


def masked(filters: int) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """The seed CNN without the first ``filters`` of its first convolution."""
    model = build("seed-cnn", 1, 8)
    name, weight = next(iter(model.named_parameters()))
    mask = torch.ones_like(weight, dtype=torch.bool)
    mask[:filters] = False
    apply(model, {name: mask})
    return model, {name: mask}


def test_a_dead_filter_goes_and_the_rest_computes_the_same() -> None:
    model, masks = masked(5)
    found = smallest(model, masks, IMAGES)
    assert (found.kind, found.outcome) == ("shrunk", VERIFIED)
    assert found.difference is not None
    assert found.difference <= 1e-4
    before, after = (sum(p.numel() for p in m.parameters()) for m in (model, found.model))
    assert after < before
    with torch.inference_mode():
        torch.testing.assert_close(found.model(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)


def test_channels_are_kept_at_a_multiple() -> None:
    model, masks = masked(5)
    found = smallest(model, masks, IMAGES, round_to=4)
    assert found.outcome == VERIFIED
    first = next(m for m in found.model.modules() if isinstance(m, nn.Conv2d))
    dense = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    assert first.out_channels == dense.out_channels - 4


def test_without_masks_it_is_the_dense_network() -> None:
    model, _ = masked(0)
    found = smallest(model, {}, IMAGES)
    assert (found.model, found.kind, found.outcome) == (model, "dense", UNCHANGED)


def test_where_no_unit_is_dead_the_masked_network_stays() -> None:
    model, masks = masked(0)
    found = smallest(model, masks, IMAGES)
    assert (found.model, found.kind, found.outcome) == (model, "masked", UNCHANGED)


def test_other_outputs_claim_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, masks = masked(5)
    monkeypatch.setattr(module, "TOLERANCE", -1.0)  # nothing is as close as that
    found = smallest(model, masks, IMAGES)
    assert (found.model, found.kind, found.outcome) == (model, "masked", DIFFERENT)
    assert "differ by" in found.reason


class Wayward(nn.Module):
    """A network that cannot be traced: its path hangs on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        if not torch.is_grad_enabled() or x.shape[0] != 2:
            return self.layer(x).mean((2, 3))
        raise ValueError("not with gradients")


def test_what_cannot_be_traced_is_refused_and_its_mask_holds() -> None:
    model = Wayward().eval()
    mask = torch.ones_like(model.layer.weight, dtype=torch.bool)
    mask[0] = False
    apply(model, {"layer.weight": mask})
    found = smallest(model, {"layer.weight": mask}, IMAGES)
    assert (found.model, found.kind, found.outcome) == (model, "masked", REFUSED)
    assert "the masks still hold" in found.reason
