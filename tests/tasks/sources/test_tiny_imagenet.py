"""Tiny ImageNet in its own layout, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources import folder, tiny_imagenet

from ..conftest import Encode, MakeTask

Pictures = Callable[..., NDArray[np.uint8]]
CLASSES = ("n01443537", "n01629819")


@pytest.fixture
def root(tmp_path: Path, encode: Encode, pictures: Pictures) -> Path:
    root = tmp_path / "tiny-imagenet-200"
    for label, name in enumerate(CLASSES):
        (root / "train" / name / "images").mkdir(parents=True)
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
        for index, image in enumerate(pictures(3, 8, 8, 3, seed=label)):
            (root / "train" / name / "images" / f"{name}_{index}.JPEG").write_bytes(encode(image))
    for split in ("val", "test"):
        (root / split / "images").mkdir(parents=True)
        for index, image in enumerate(pictures(4, 8, 8, 3, seed=9)):
            (root / split / "images" / f"{split}_{index}.JPEG").write_bytes(encode(image))
    rows = [f"val_{i}.JPEG\t{CLASSES[i % 2]}\t0\t0\t7\t7" for i in (2, 0, 1, 3)]
    (root / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    return root


def test_its_validation_images_are_the_test_set(
    root: Path, make_task: MakeTask, pictures: Pictures
) -> None:
    raw = tiny_imagenet.read(make_task(source="tiny-imagenet", path=str(root)), root)
    assert (raw.names, raw.val) == (CLASSES, None)
    assert raw.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(raw.train.inputs[3:], pictures(3, 8, 8, 3, seed=1))
    assert raw.test is not None
    assert raw.test.targets.tolist() == [0, 0, 1, 1]  # of images 2, 0, 1, 3
    assert np.array_equal(raw.test.inputs, pictures(4, 8, 8, 3, seed=9)[[2, 0, 1, 3]])


def test_grey_images_among_the_colour_ones_are_made_colour(
    root: Path, make_task: MakeTask, encode: Encode, pictures: Pictures
) -> None:
    (root / "val" / "images" / "val_2.JPEG").write_bytes(encode(pictures(8, 8)))
    raw = tiny_imagenet.read(make_task(source="tiny-imagenet", path=str(root)), root)
    assert raw.test is not None
    assert raw.test.inputs.shape == (4, 8, 8, 3)
    assert (raw.test.inputs[0] == pictures(8, 8)[..., None]).all()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("val/val_annotations.txt", "val_0.JPEG\tn0\n", "line 1: no class 'n0' in training"),
        ("val/val_annotations.txt", f"x.JPEG\t{CLASSES[0]}\n", "line 1: .*has no 'x.JPEG'"),
        ("val/val_annotations.txt", f"val_0.JPEG\t{CLASSES[0]}\n", "nothing of 3 images, such as"),
        ("val/val_annotations.txt", None, "val_annotations.txt cannot be read; path: must be the"),
        ("train/n01443537/images/n01443537_0.JPEG", "no image", "cannot be decoded"),
    ],
)
def test_what_cannot_be_right(
    root: Path, make_task: MakeTask, file: str, text: str | None, says: str
) -> None:
    if text is None:
        (root / file).unlink()
    else:
        (root / file).write_text(text)
    with pytest.raises(PrunebenchError, match=says) as caught:
        tiny_imagenet.read(make_task(source="tiny-imagenet", path=str(root)), root)
    assert "\n" not in str(caught.value)


def test_another_folder_is_none_and_the_source_of_folders_knows_this_one(
    root: Path, make_task: MakeTask
) -> None:
    with pytest.raises(PrunebenchError, match=r"val/train holds no folder of a class; path: must"):
        tiny_imagenet.read(make_task(source="tiny-imagenet", path=str(root / "val")), root)
    with pytest.raises(PrunebenchError, match=r"is this Tiny ImageNet\? then source: tiny-"):
        folder.read(make_task(source="folder", path=str(root)), root)
