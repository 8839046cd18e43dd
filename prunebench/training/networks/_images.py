"""What networks of images share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

Size = int | Sequence[int]  # of images in pixels: the side of square ones, or height and width


def sides(size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def kaiming(model: nn.Module) -> None:
    """Initialize every convolution as He 2015, by its fan-out, like timm's ResNets."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
