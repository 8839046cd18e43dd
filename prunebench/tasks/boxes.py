"""Boxes of things in images: x1, y1, x2, y2 in pixels and a class, padded with class -1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError

Boxes = NDArray[np.float32]  # [N, M, 5]
Corners = NDArray[np.floating]  # [4]


def overlap(first: Corners, second: Corners) -> float:
    """Return the area that two boxes share, over that of the smaller one."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:4], second[2:4])
    shared = np.prod(np.clip(high - low, 0, None))
    areas = [float(np.prod(np.subtract(box[2:4], box[:2]))) for box in (first, second)]
    return float(shared / max(min(areas), 1e-12))


def check_boxes(found: Sequence[Sequence[float]], width: int, height: int, where: str) -> None:
    """Refuse boxes that are empty or reach out of their image.

    Args:
        found: x1, y1, x2, y2 in pixels, and more.
        width: of the image, in pixels.
        height: likewise.
        where: the file, for the message.

    Raises:
        PrunebenchError: the message names the box, counted from 1.
    """
    for number, (x1, y1, x2, y2, *_) in enumerate(found, start=1):
        corners = f"{x1:g}, {y1:g}, {x2:g}, {y2:g}"
        # written so that NaN is refused, too
        if not (x1 < x2 and y1 < y2):
            raise PrunebenchError(f"{where}: box {number} ({corners}) is empty")
        if not (x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height):
            raise PrunebenchError(
                f"{where}: box {number} ({corners}) reaches out of the image of"
                f" {width}x{height} pixels"
            )


def padded(found: Sequence[Sequence[Sequence[float]]]) -> Boxes:
    """Return the boxes of each image in one array [N, M, 5], M the most of an image (at least 1).

    Args:
        found: of each image its boxes: x1, y1, x2, y2 and class.
    """
    most = max((len(boxes) for boxes in found), default=0)
    array = np.zeros((len(found), max(most, 1), 5), np.float32)
    array[..., 4] = -1
    for row, boxes in zip(array, found, strict=True):
        if len(boxes):
            row[: len(boxes)] = boxes
    return array
