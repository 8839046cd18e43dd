"""Corrupt images on the fly, from a seed (after Hendrycks & Dietterich 2019).

A kind of corruption is one function of (images float [N, C, H, W] in [0, 1], its parameter, a CPU
generator), registered by its decorator. Its result is clamped to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from prunebench.errors import PrunebenchError, suggest
from prunebench.storage.hashing import derive_seed

Kind = Callable[[Tensor, float, torch.Generator], Tensor]
Predict = Callable[[Tensor], Tensor]  # uint8 images [N, C, H, W] -> logits [N, classes]

# kind -> its parameter at strengths 1, 2 and 3. CIFAR-10-C's (noise 0.04 to 0.1, blur 0.4 to 1,
# contrast 0.75 to 0.15) hardly change the error on digits of 16x16 pixels, so noise and blur reach
# further; contrast less far; pixelation has ImageNet-C's severities 1, 3 and 5
STRENGTHS = {
    "noise": (0.05, 0.1, 0.2),  # standard deviation
    "blur": (0.5, 1.0, 1.5),  # standard deviation in pixels
    "contrast": (0.75, 0.5, 0.25),  # what is left of a pixel's distance to the mean
    "pixelation": (0.6, 0.4, 0.25),  # blocks on a side for each of its pixels
}
KINDS: dict[str, Kind] = {}


def kind(function: Kind) -> Kind:
    """Register a corruption under the name of its function."""
    KINDS[function.__name__] = function
    return function


@kind
def noise(images: Tensor, deviation: float, draw: torch.Generator) -> Tensor:
    """Add Gaussian noise to every pixel."""
    # uniform numbers are drawn one by one, normal ones in blocks: only so does an image's noise
    # not depend on how many follow it
    uniform = torch.rand(images.shape, generator=draw, dtype=torch.float64)
    normal = torch.special.ndtri(uniform.clamp_(min=2**-53))
    return images + deviation * normal.to(images)


@kind
def blur(images: Tensor, deviation: float, draw: torch.Generator) -> Tensor:
    """Convolve with a Gaussian, cut at 4 deviations; the pixels of the edge go on beyond it."""
    return _on_both_sides(_gaussian, images, deviation)


@kind
def contrast(images: Tensor, left: float, draw: torch.Generator) -> Tensor:
    """Move every pixel towards the mean of its image and channel."""
    mean = images.mean((2, 3), keepdim=True)
    return mean + left * (images - mean)


@kind
def pixelation(images: Tensor, blocks: float, draw: torch.Generator) -> Tensor:
    """Give every pixel the mean of its block; a side has ``blocks`` · side of them, rounded."""
    return _on_both_sides(_blocks, images, blocks)


def _on_both_sides(
    matrix: Callable[[int, float], Tensor], images: Tensor, parameter: float
) -> Tensor:
    """Mix rows, then columns, each by the matrix of its side."""
    height, width = images.shape[2:]
    rows = matrix(height, parameter).to(images)
    return rows @ images @ matrix(width, parameter).to(images).T


@cache
def _gaussian(side: int, deviation: float) -> Tensor:
    """Return float64 [side, side]; row i holds the weights with which pixels make up pixel i."""
    radius = int(4 * deviation + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / deviation) ** 2)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    for pixel in range(side):
        matrix[pixel].index_add_(0, (pixel + offsets).clamp(0, side - 1), weights / weights.sum())
    return matrix


@cache
def _blocks(side: int, share: float) -> Tensor:
    """Return float64 [side, side]; row i weighs the pixels of the block of pixel i's centre.

    Of a pixel at the end of a block the part inside counts.
    """
    count = max(1, round(share * side))
    pixels = torch.arange(side, dtype=torch.float64)
    block = ((pixels + 0.5) * count / side).floor()[:, None]
    begin, end = block * side / count, (block + 1) * side / count
    covered = (torch.minimum(end, pixels + 1) - torch.maximum(begin, pixels)).clamp(min=0)
    return covered * count / side


def corrupted(images: Tensor, kind: str, strength: int, draw: torch.Generator) -> Tensor:
    """Return images, corrupted; the originals stay.

    Args:
        images: [N, C, H, W] in [0, 1].
        kind: the name of a corruption.
        strength: 1, 2 or 3.
        draw: a CPU generator. Images given later with the same generator continue its draws, so
            that the result does not depend on batches.

    Raises:
        PrunebenchError: the kind or strength is unknown.
    """
    if kind not in KINDS:
        raise PrunebenchError(f"unknown corruption {kind!r}{suggest(kind, KINDS)}")
    if strength not in (1, 2, 3):
        raise PrunebenchError(f"the strength of a corruption is 1, 2 or 3, not {strength}")
    return KINDS[kind](images, STRENGTHS[kind][strength - 1], draw).clamp(0, 1)


def corrupted_errors(
    predict: Predict, images: Tensor, labels: Tensor, seed: int, batch: int = 500
) -> dict[str, float]:
    """Return the error under each kind of corruption, as the mean over its strengths.

    The strengths of a kind share their draws. Corrupted images are rounded to 256 values, as the
    data are.

    Args:
        predict: uint8 images [N, C, H, W] to logits [N, classes].
        images: uint8 [N, C, H, W].
        labels: [N].
        seed: of the corruptions.
        batch: images at a time.

    Returns:
        Column -> error; ``corrupted_error`` is the mean of the kinds.
    """
    found = {}
    for name in KINDS:
        wrong = 0
        for strength in (1, 2, 3):
            draw = torch.Generator().manual_seed(derive_seed("corruption", name, seed))
            for part, wanted in zip(images.split(batch), labels.split(batch), strict=True):
                changed = corrupted(part.float() / 255, name, strength, draw)
                predicted = predict(changed.mul_(255).round_().to(torch.uint8)).argmax(1)
                wrong += int((predicted.cpu() != wanted.cpu()).sum())
        found[f"corrupted_{name}_error"] = wrong / (3 * len(labels))
    return {"corrupted_error": sum(found.values()) / len(found), **found}
