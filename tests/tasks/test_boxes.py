"""Boxes: overlap, padding, and those that cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.boxes import check_boxes, overlap, padded


def test_overlap_by_hand() -> None:
    box = np.array([0.0, 0.0, 4.0, 4.0])
    assert overlap(box, np.array([2.0, 2.0, 6.0, 6.0])) == 4 / 16
    assert overlap(box, np.array([1.0, 1.0, 2.0, 3.0])) == 1
    assert overlap(box, np.array([4.0, 0.0, 6.0, 2.0])) == 0


def test_padding() -> None:
    array = padded([[[0, 1, 2, 3, 7], [1, 1, 2, 2, 0]], [], [[0, 0, 1, 1, 2]]])
    assert array.shape == (3, 2, 5)
    assert array.dtype == np.float32
    assert array[..., 4].tolist() == [[7, 0], [-1, -1], [2, -1]]
    assert array[0, 0].tolist() == [0, 1, 2, 3, 7]
    assert padded([[], []]).shape == (2, 1, 5)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((3, 0, 3, 4), "is empty"),
        ((5, 0, 3, 4), "is empty"),
        ((0, math.nan, 3, 4), "is empty"),
        ((-1, 0, 3, 4), "reaches out of the image of 10x8 pixels"),
        ((0, 0, 3, 9), "reaches out of the image of 10x8 pixels"),
        ((0, 0, math.inf, 4), "reaches out of the image of 10x8 pixels"),
    ],
)
def test_boxes_that_cannot_be(box: tuple[float, ...], message: str) -> None:
    check_boxes([(0, 0, 10, 8)], 10, 8, "a.jpg")
    with pytest.raises(PrunebenchError, match=message) as caught:
        check_boxes([(0, 0, 10, 8), box], 10, 8, "a.jpg")
    assert str(caught.value).startswith("a.jpg: box 2 (")
