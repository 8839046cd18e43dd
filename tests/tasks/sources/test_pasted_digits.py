"""Digits on cluttered canvases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from prunebench.errors import PrunebenchError
from prunebench.tasks import boxes
from prunebench.tasks.raw import Raw
from prunebench.tasks.sources import pasted_digits

from ..conftest import MakeTask


@pytest.fixture
def few(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> Raw:
    monkeypatch.setattr(pasted_digits, "TRAIN", 120)
    monkeypatch.setattr(pasted_digits, "TEST", 30)
    return pasted_digits.read(make_task(source="pasted-digits"), Path("unused"))


def test_boxes_lie_in_their_canvases_and_hardly_overlap(few: Raw) -> None:
    assert few.test is not None
    assert few.train.inputs.shape == (120, 64, 64, 1)
    assert few.test.targets.shape == (30, 4, 5)
    assert few.names == tuple("0123456789")
    for canvas in few.train.targets:
        found = canvas[canvas[:, 4] >= 0]
        assert len(found) >= 1
        assert (canvas[len(found) :] == [0, 0, 0, 0, -1]).all()
        boxes.check_boxes(found.tolist(), 64, 64, "canvas")
        for index, box in enumerate(found):
            assert all(boxes.overlap(box, other) <= 0.1 for other in found[:index])
    counts = (few.train.targets[..., 4] >= 0).sum(1)
    assert set(counts.tolist()) == {1, 2, 3, 4}


def test_a_box_is_brighter_than_what_surrounds_it(few: Raw) -> None:
    inside, outside = [], []
    for canvas, found in zip(few.train.inputs[..., 0], few.train.targets, strict=True):
        ink = np.zeros((64, 64), bool)
        for x1, y1, x2, y2, label in found.astype(int):
            if label >= 0:
                ink[y1:y2, x1:x2] = True
        inside.append(canvas[ink].mean())
        outside.append(canvas[~ink].mean())
    assert np.mean(inside) > np.mean(outside) + 50


def test_canvases_are_the_same_every_time_and_of_other_digits_in_test(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, few: Raw
) -> None:
    again = pasted_digits.read(make_task(), Path("unused"))
    assert np.array_equal(again.train.inputs, few.train.inputs)
    seen = []
    real = pasted_digits._canvases
    monkeypatch.setattr(
        pasted_digits, "_canvases",
        lambda images, *rest: (seen.append(images), real(images, *rest))[1],
    )  # fmt: skip
    pasted_digits.read(make_task(), Path("unused"))
    assert sum(len(images) for images in seen) == len(load_digits().images)


def test_another_size_is_refused(make_task: MakeTask) -> None:
    pasted_digits.check(make_task(image_size=64))
    with pytest.raises(PrunebenchError, match="image_size: 32; the canvases have 64 pixels"):
        pasted_digits.check(make_task(image_size=32))
