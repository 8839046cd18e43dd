"""Boxes of VOC, which are XML, and of KITTI, which are lines of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import damaged_bytes

_XML = (
    "<annotation><size><width>40</width><height>20</height></size><object><name>dog</name>"
    "<difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax>"
    "</bndbox></object></annotation>"
)
# an entity that grows, one that reads a file, and nesting without end
_BOMBS = (
    '<!DOCTYPE a [<!ENTITY b "dog">' + "".join(
        f'<!ENTITY b{n} "{f"&b{n - 1};" * 10 if n else "&b;" * 10}">' for n in range(9)
    ) + "]>" + _XML.replace("dog", "&b8;"),
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + _XML.replace("dog", "&b;"),
    "<annotation>" * 20_000, _XML.replace("<object>", "<object>" * 500),
    '<?xml version="1.0" encoding="utf-16"?>' + _XML,
)  # fmt: skip
_LINE = "Car 0.00 0 -0.20 5.00 2.50 10.00 18.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"


def boxes(folder: Path) -> Reader:
    """Boxes of VOC and KITTI, in folders of theirs."""
    from prunebench.experiment.settings import Task
    from prunebench.tasks.sources.object_detection import read as read_boxes

    voc, kitti = folder / "VOCdevkit" / "VOC2007", folder / "Kitti" / "raw" / "training"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / name).mkdir(parents=True)
    for name in ("image_2", "label_2"):
        (kitti / name).mkdir(parents=True)
    for number in ("000001", "000002"):
        Image.new("RGB", (40, 20), "grey").save(voc / "JPEGImages" / f"{number}.jpg")
        Image.new("RGB", (40, 20), "grey").save(kitti / "image_2" / f"{number}.png")
        (voc / "Annotations" / f"{number}.xml").write_text(_XML)
        (kitti / "label_2" / f"{number}.txt").write_text(_LINE)
    for split, number in (("trainval", "000001"), ("test", "000002")):
        (voc / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{number}\n")
    given: dict[str, Any] = {"name": "mine", "source": "object-detection", "image_size": 32,
                             "kind": "detection", "path": str(folder)}  # fmt: skip
    tasks = {name: Task(dataset=name, **given) for name in ("VOC2007", "KITTI")}
    files = {"VOC2007": voc / "Annotations" / "000001.xml",
             "KITTI": kitti / "label_2" / "000001.txt"}  # fmt: skip
    seeds = {"VOC2007": [_XML.encode()], "KITTI": [_LINE.encode(), 3 * _LINE.encode()]}

    for dataset in tasks:  # loading torchvision starts a process, which asks for libraries
        read_boxes(tasks[dataset], folder)

    def read(given: tuple[str, bytes]) -> None:
        dataset, content = given
        files[dataset].write_bytes(content)
        read_boxes(tasks[dataset], folder)

    bombs = st.tuples(st.just("VOC2007"), st.sampled_from([text.encode() for text in _BOMBS]))
    return bombs | st.sampled_from(sorted(seeds)).flatmap(
        lambda dataset: st.tuples(st.just(dataset), damaged_bytes(seeds[dataset]))
    ), read
