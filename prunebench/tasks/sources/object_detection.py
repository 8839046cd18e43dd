"""Things in photographs, with boxes: VOC 2007 and KITTI, as torchvision lays them out.

``VOC2007`` (5,011 + 4,952 images, 20 classes; terms of Flickr, for research) is fetched by
torchvision, which checks the MD5 sums. Its objects marked as difficult are left out, as its
evaluation leaves them out. ``KITTI`` (7,481 labelled images of roads: cars, pedestrians and
cyclists; CC BY-NC-SA 3.0) needs ``path:``, since no sums of its files are published; the labels of
its test images are not published either, so test images come out of training.

``path:`` is the root that torchvision takes: it holds ``VOCdevkit/VOC2007`` or ``Kitti/raw``.
Images are stretched to ``image_size``, and boxes with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.errors import PrunebenchError, suggest
from prunebench.tasks.boxes import check_boxes, padded
from prunebench.tasks.downloads import fetch_whole, root_of
from prunebench.tasks.images import Encoded, decode, stored_size
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, Split, local_path, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
KITTI_CLASSES = ("Car", "Pedestrian", "Cyclist")
# beside them, KITTI marks what its evaluation leaves out
_KITTI_LEFT_OUT = ("Van", "Truck", "Person_sitting", "Tram", "Misc", "DontCare")
Found = list[list[float]]  # of one image: x1, y1, x2, y2 in pixels and class


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, of KITTI without a path, or without an image size."""
    known_dataset(task, DATASETS)
    if task.image_size is None:
        raise PrunebenchError(
            f"task {task.name!r}: images of {task.dataset} differ in size; set image_size:"
        )
    if task.dataset == "KITTI":
        local_path(task, "the folder that holds Kitti/raw")


def download(task: Task, folder: Path) -> None:
    """Download VOC 2007 into ``folder/VOC2007``, once, whole or not at all.

    Raises:
        PrunebenchError: the server cannot be reached, or a checksum is wrong.
    """
    from torchvision.datasets import VOCDetection

    if task.dataset != "VOC2007":
        return

    def fill(root: Path) -> None:
        for image_set in ("trainval", "test"):
            VOCDetection(root, year="2007", image_set=image_set, download=True)
        for archive in root.glob("*.tar"):
            archive.unlink()

    fetch_whole(task, folder, fill)


def read(task: Task, folder: Path) -> Raw:
    """Read images and boxes.

    Raises:
        PrunebenchError: a file is missing or damaged, or a box is empty, reaches out of its image
            or is of an unknown class.
    """
    check(task)
    root = root_of(task, folder, f"the root of {task.dataset} as torchvision takes it")
    try:
        return DATASETS[str(task.dataset)](root, task)
    except PrunebenchError:
        raise
    # torchvision's readers raise whatever their parsers do for damaged files
    except Exception as error:
        raise PrunebenchError(
            f"task {task.name!r}: {task.dataset} in {root} is missing or damaged: {one_line(error)}"
        ) from error


def _voc(root: Path, task: Task) -> Raw:
    from torchvision.datasets import VOCDetection

    splits = []
    for image_set in ("trainval", "test"):
        data = VOCDetection(root, year="2007", image_set=image_set)
        found = [_voc_boxes(Path(path)) for path in data.annotations]
        splits.append(_split([Path(path) for path in data.images], found, task))
    return Raw(splits[0], test=splits[1], names=VOC_CLASSES)


def _voc_boxes(path: Path) -> Found:
    """Return the boxes of an annotation, which counts pixels from 1."""
    from torchvision.datasets import VOCDetection
    from torchvision.datasets.voc import ET_parse

    try:
        tree = VOCDetection.parse_voc_xml(ET_parse(path).getroot())["annotation"]
        found = []
        for thing in tree.get("object", []):
            if int(thing.get("difficult", 0)):
                continue
            box = {side: float(place) for side, place in thing["bndbox"].items()}
            corners = [box["xmin"] - 1, box["ymin"] - 1, box["xmax"], box["ymax"]]
            found.append([*corners, _number(thing["name"], VOC_CLASSES, str(path))])
    except PrunebenchError:
        raise
    except Exception as error:
        raise PrunebenchError(f"{path} is missing or damaged: {one_line(error)}") from error
    return found


def _kitti(root: Path, task: Task) -> Raw:
    from torchvision.datasets import Kitti

    data = Kitti(root)
    names = [Path(path) for path in data.images]
    order = sorted(range(len(names)), key=lambda index: names[index].name)
    found = []
    for index in order:
        where = data.targets[index]
        try:
            things = data._parse_target(index)
        except Exception as error:
            raise PrunebenchError(f"{where} is missing or damaged: {one_line(error)}") from error
        found.append(
            [
                [*thing["bbox"], _number(thing["type"], KITTI_CLASSES, where)]
                for thing in things
                if thing["type"] not in _KITTI_LEFT_OUT
            ]
        )
    return Raw(_split([names[index] for index in order], found, task), names=KITTI_CLASSES)


DATASETS: dict[str, Callable[[Path, Task], Raw]] = {"VOC2007": _voc, "KITTI": _kitti}


def _number(name: str, names: tuple[str, ...], where: str) -> int:
    if name not in names:
        raise PrunebenchError(f"{where}: unknown class {name!r}{suggest(name, names)}")
    return names.index(name)


def _split(paths: Sequence[Path], found: Sequence[Found], task: Task) -> Split:
    """Return images at the task's size with their boxes, in pixels of that size."""
    size = float(task.image_size or 0)
    scaled = []
    for path, boxes in zip(paths, found, strict=True):
        width, height = stored_size(path)
        check_boxes(boxes, width, height, str(path))
        factors = np.array([size / width, size / height, size / width, size / height, 1])
        scaled.append([list(np.array(box) * factors) for box in boxes])
    items: list[Encoded] = [(path, 0, str(path)) for path in paths]
    colour = task if task.mode != "native" else task.model_copy(update={"mode": "rgb"})
    images: Any = decode(items, len(items), colour).inputs
    return Split(images, padded(scaled))
