"""Boxes of VOC and KITTI on tiny copies of their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources.object_detection import check, read

from ..conftest import MakeTask

Thing = tuple[str, tuple[float, float, float, float]]


def annotation(things: list[Thing], difficult: int = 0) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in things
    )
    return f"<annotation><size><width>40</width><height>20</height></size>{objects}</annotation>"


def voc(root: Path, things: list[Thing]) -> Path:
    """Two images for training, one for testing, of 40×20 pixels."""
    home = root / "VOCdevkit" / "VOC2007"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (home / folder).mkdir(parents=True)
    for name in ("000001", "000002", "000003"):
        Image.new("RGB", (40, 20), "grey").save(home / "JPEGImages" / f"{name}.jpg")
    (home / "Annotations" / "000001.xml").write_text(annotation(things))
    (home / "Annotations" / "000002.xml").write_text(annotation(things[:1], difficult=1))
    (home / "Annotations" / "000003.xml").write_text(annotation(things[:1]))
    (home / "ImageSets" / "Main" / "trainval.txt").write_text("000001\n000002\n")
    (home / "ImageSets" / "Main" / "test.txt").write_text("000003\n")
    return root


@pytest.fixture
def task(tmp_path: Path, make_task: MakeTask) -> Any:
    return make_task(
        source="object-detection", dataset="VOC2007", path=str(tmp_path), image_size=80
    )


def test_voc(tmp_path: Path, task: Any) -> None:
    voc(tmp_path, [("dog", (1, 1, 20, 10)), ("person", (21, 11, 40, 20))])
    raw = read(task, tmp_path)
    assert raw.test is not None
    assert raw.names is not None
    assert raw.train.inputs.shape == (2, 80, 80, 3)
    # pixels count from 1 there; the image is stretched twice in width, four times in height
    dog, person = raw.names.index("dog"), raw.names.index("person")
    assert raw.train.targets[0].tolist() == [[0, 0, 40, 40, dog], [40, 40, 80, 80, person]]
    assert (raw.train.targets[1, :, 4] == -1).all()  # difficult
    assert raw.test.targets.tolist() == [[[0, 0, 40, 40, dog]]]


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (("dog", (5, 5, 4, 10)), r"000001\.jpg: box 1 \(4, 4, 4, 10\) is empty"),
        (("dog", (5, 5, 41, 10)), r"000001\.jpg: box 1 \(4, 4, 41, 10\) reaches out of the image"),
        (("dog", (0, 5, 30, 10)), r"000001\.jpg: box 1 \(-1, 4, 30, 10\) reaches out of the image"),
        (("dig", (1, 1, 20, 10)), r"000001\.xml: unknown class 'dig'; did you mean 'dog'"),
        (("dog", ("a", 1, 20, 10)), r"000001\.xml is missing or damaged: could not convert"),
    ],
)
def test_broken_boxes(tmp_path: Path, task: Any, thing: Any, message: str) -> None:
    voc(tmp_path, [thing])
    with pytest.raises(PrunebenchError, match=message) as caught:
        read(task, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["JPEGImages/000003.jpg", "Annotations/000003.xml"])
def test_missing_files(tmp_path: Path, task: Any, file: str) -> None:
    voc(tmp_path, [("dog", (1, 1, 20, 10))])
    (tmp_path / "VOCdevkit" / "VOC2007" / file).unlink()
    with pytest.raises(PrunebenchError, match=f"{Path(file).name}"):
        read(task, tmp_path)


def test_an_annotation_that_is_cut_off(tmp_path: Path, task: Any) -> None:
    voc(tmp_path, [("dog", (1, 1, 20, 10))])
    path = tmp_path / "VOCdevkit" / "VOC2007" / "Annotations" / "000003.xml"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(PrunebenchError, match=r"000003\.xml is missing or damaged"):
        read(task, tmp_path)


def kitti(root: Path, lines: dict[str, str]) -> Path:
    home = root / "Kitti" / "raw" / "training"
    (home / "image_2").mkdir(parents=True)
    (home / "label_2").mkdir()
    for name, text in lines.items():
        Image.new("RGB", (40, 20), "grey").save(home / "image_2" / f"{name}.png")
        (home / "label_2" / f"{name}.txt").write_text(text)
    return root


def test_kitti(tmp_path: Path, task: Any) -> None:
    rest = "1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"
    kitti(tmp_path, {
        "000001": f"Pedestrian 0.00 0 -0.20 5.00 2.50 10.00 20.00 {rest}\n",
        "000000": f"Car 0.00 0 1.85 0.00 0.00 20.00 10.00 {rest}\n"
                  "DontCare -1 -1 -10 0 0 90 90 -1 -1 -1 -1000 -1000 -1000 -10\n",
    })  # fmt: skip
    raw = read(task.model_copy(update={"dataset": "KITTI"}), tmp_path)
    assert raw.names == ("Car", "Pedestrian", "Cyclist")
    assert raw.test is None
    assert raw.train.targets.tolist() == [[[0, 0, 40, 40, 0]], [[10, 10, 20, 80, 1]]]
    assert raw.train.inputs.dtype == np.uint8
    damaged = tmp_path / "Kitti" / "raw" / "training" / "label_2" / "000001.txt"
    damaged.write_text("Pedestrian 0.00 0\n")
    with pytest.raises(PrunebenchError, match=r"000001\.txt is missing or damaged"):
        read(task.model_copy(update={"dataset": "KITTI"}), tmp_path)


def test_what_a_task_must_say(tmp_path: Path, make_task: MakeTask, task: Any) -> None:
    with pytest.raises(PrunebenchError, match="images of VOC2007 differ in size; set image_size:"):
        check(make_task(source="object-detection", dataset="VOC2007"))
    with pytest.raises(PrunebenchError, match="needs path: the folder that holds Kitti/raw"):
        check(make_task(source="object-detection", dataset="KITTI", image_size=64))
    with pytest.raises(PrunebenchError, match="unknown dataset 'VOC2008'; did you mean 'VOC2007'"):
        check(make_task(source="object-detection", dataset="VOC2008", image_size=64))
    with pytest.raises(PrunebenchError, match=r"VOC2007 in .* is missing or damaged: Dataset not"):
        read(task, tmp_path)
