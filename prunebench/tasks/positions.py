"""Positions at which a detector without anchors predicts (FCOS, Tian 2019, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_SMALL = 128  # pixels of a side, up to which the finest positions lie 4 pixels apart


def strides(height: int, width: int) -> tuple[int, ...]:
    """Return the distances of the positions of each level, in pixels, finest first."""
    return (4, 8, 16) if max(height, width) <= _SMALL else (8, 16, 32)


def counts(height: int, width: int) -> list[int]:
    """Return the number of positions of each level."""
    return [-(-height // s) * -(-width // s) for s in strides(height, width)]


def squares(height: int, width: int) -> Tensor:
    """Return around every position a square as wide as its level's distance, [A, 4].

    Row by row, level by level; these are what torchvision's FCOS calls anchors.
    """
    import torch

    found = []
    for stride in strides(height, width):
        down, right = torch.meshgrid(
            torch.arange(0, height, stride), torch.arange(0, width, stride), indexing="ij"
        )
        x, y = right.flatten().float(), down.flatten().float()
        half = stride / 2
        found.append(torch.stack([x - half, y - half, x + half, y + half], 1))
    return torch.cat(found)
