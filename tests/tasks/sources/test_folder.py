"""A folder of images, well laid out and otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources.folder import read

from ..conftest import Encode, MakeTask

Pictures = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def root(tmp_path: Path, encode: Encode, pictures: Pictures) -> Path:
    root = tmp_path / "animals"
    for split in ("train", "test"):
        for label, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for index, image in enumerate(pictures(2, 6, 6, seed=label)):
                (root / split / name / f"{index}.png").write_bytes(encode(image))
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / "train" / ".cache").mkdir()
    return root


def _refusal(make_task: MakeTask, root: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        read(make_task(source="folder", path=str(root)), root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_are_the_names_of_folders(
    root: Path, make_task: MakeTask, pictures: Pictures
) -> None:
    raw = read(make_task(source="folder", path=str(root)), root)
    assert raw.names == ("cat", "dog")
    assert raw.val is None
    for split in raw.splits().values():
        assert split.targets.tolist() == [0, 0, 1, 1]
        expected = np.concatenate([pictures(2, 6, 6, seed=label) for label in range(2)])
        assert np.array_equal(split.inputs[..., 0], expected)


def test_folders_of_classes_alone_are_training(root: Path, make_task: MakeTask) -> None:
    raw = read(make_task(source="folder", path=str(root / "train")), root)
    assert list(raw.splits()) == ["train"]
    assert len(raw.train) == 4


def test_a_truncated_file_is_named(root: Path, make_task: MakeTask) -> None:
    file = root / "train" / "dog" / "1.png"
    file.write_bytes(file.read_bytes()[:40])
    assert _refusal(make_task, root).startswith(f"{file}: the image cannot be decoded")


def test_unequal_sizes(root: Path, make_task: MakeTask, encode: Encode, pictures: Pictures) -> None:
    (root / "train" / "dog" / "1.png").write_bytes(encode(pictures(6, 7)))
    assert "set image_size:" in _refusal(make_task, root)


def test_a_class_that_training_does_not_know(root: Path, make_task: MakeTask) -> None:
    (root / "test" / "dog").rename(root / "test" / "dogs")
    assert "no class 'dogs' in training; did you mean 'dog'?" in _refusal(make_task, root)


def test_an_empty_class(root: Path, make_task: MakeTask) -> None:
    (root / "train" / "emu").mkdir()
    assert "emu holds no image" in _refusal(make_task, root)


def test_no_folders_at_all(root: Path, make_task: MakeTask) -> None:
    assert "has no subfolders" in _refusal(make_task, root / "train" / "cat")
    assert "is no folder" in _refusal(make_task, root / "train" / "cat" / "0.png")
    assert "does not exist" in _refusal(make_task, root / "nothing")
