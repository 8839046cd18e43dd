"""torchvision's data sets: read from disk as they lie there, downloaded whole or not at all."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.experiment import prepared_data
from prunebench.tasks.prepare import check, split
from prunebench.tasks.sources import torchvision as source

from ..conftest import Encode, MakeTask

Pictures = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four training and two test images are the official sizes."""
    for name, known in source.DATASETS.items():
        monkeypatch.setitem(source.DATASETS, name, dataclasses.replace(known, sizes=(4, 2)))


def _refusal(task: Any, folder: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        source.read(task, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def fashion(tmp_path: Path, pictures: Pictures, small: None) -> Path:
    """A tiny data set in the files of Fashion-MNIST."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, size in (("train", 4), ("t10k", 2)):
        images = pictures(size, 28, 28)
        header = struct.pack(">4i", 0x00000803, size, 28, 28)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">2i", 0x00000801, size)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(header + bytes(range(size)))
    return tmp_path


def test_fashion_mnist_is_read_from_its_path(
    fashion: Path, make_task: MakeTask, pictures: Pictures
) -> None:
    task = make_task(source="torchvision", dataset="FashionMNIST", path=str(fashion))
    raw = source.read(task, Path("nowhere"))
    assert np.array_equal(raw.train.inputs[..., 0], pictures(4, 28, 28))
    assert raw.train.targets.tolist() == [0, 1, 2, 3]
    assert raw.test is not None
    assert len(raw.test) == 2
    assert raw.names is not None
    assert raw.names[9] == "Ankle boot"


def test_mnist_lies_in_the_same_files(
    fashion: Path, make_task: MakeTask, pictures: Pictures
) -> None:
    (fashion / "FashionMNIST").rename(fashion / "MNIST")
    task = make_task(source="torchvision", dataset="MNIST", path=str(fashion))
    raw = source.read(task, Path("nowhere"))
    assert np.array_equal(raw.train.inputs[..., 0], pictures(4, 28, 28))
    assert raw.names == tuple("0123456789")


def test_truncated_fashion_mnist(fashion: Path, make_task: MakeTask) -> None:
    file = fashion / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    task = make_task(source="torchvision", dataset="FashionMNIST", path=str(fashion))
    assert f"FashionMNIST in {fashion} is missing or damaged: " in _refusal(task, fashion)


def test_another_number_of_images_than_published(
    fashion: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dataclasses.replace(source.DATASETS["FashionMNIST"], sizes=(5, 2))
    monkeypatch.setitem(source.DATASETS, "FashionMNIST", known)
    task = make_task(source="torchvision", dataset="FashionMNIST", path=str(fashion))
    assert "has 4 images and 4 labels in a split of 5" in _refusal(task, fashion)


def test_gtsrb_brings_signs_of_many_sizes_to_one(
    tmp_path: Path, make_task: MakeTask, encode: Encode, pictures: Pictures, small: None
) -> None:
    base = tmp_path / "gtsrb"
    test = base / "GTSRB" / "Final_Test" / "Images"
    test.mkdir(parents=True)
    rows = ["Filename;Width;ClassId"]
    for index in range(4):
        folder = base / "GTSRB" / "Training" / f"{index:05d}"
        folder.mkdir(parents=True)
        (folder / "0.ppm").write_bytes(encode(pictures(9 + index, 12, 3), "PPM"))
    for index in range(2):
        (test / f"{index}.ppm").write_bytes(encode(pictures(8, 8 + index, 3), "PPM"))
        rows.append(f"{index}.ppm;8;{3 - index}")
    (base / "GT-final_test.csv").write_text("\n".join(rows))
    settings = {"source": "torchvision", "dataset": "GTSRB", "path": str(tmp_path)}
    raw = source.read(make_task(**settings, image_size=8), tmp_path)
    assert raw.train.inputs.shape == (4, 8, 8, 3)
    assert raw.train.targets.tolist() == [0, 1, 2, 3]
    assert raw.test is not None
    assert raw.test.targets.tolist() == [3, 2]
    assert "set image_size:" in _refusal(make_task(**settings), tmp_path)


def test_svhn_has_its_channels_first(
    tmp_path: Path,
    make_task: MakeTask,
    pictures: Pictures,
    small: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = pictures(4, 5, 6, 3)

    def dataset(root: Path, download: bool, split: str) -> SimpleNamespace:
        size = {"train": 4, "test": 2}[split]
        return SimpleNamespace(
            data=images[:size].transpose(0, 3, 1, 2), labels=np.arange(size) % 10
        )

    monkeypatch.setattr(source, "_dataset", lambda task: dataset)
    raw = source.read(make_task(source="torchvision", dataset="SVHN"), tmp_path)
    assert np.array_equal(raw.train.inputs, images)
    assert raw.names == tuple("0123456789")


@pytest.mark.parametrize("dataset", sorted(source.DATASETS))
def test_what_is_not_there(tmp_path: Path, make_task: MakeTask, dataset: str) -> None:
    task = make_task(source="torchvision", dataset=dataset)
    assert f"{dataset} in {tmp_path / dataset} is missing or damaged: " in _refusal(task, tmp_path)


def test_a_path_to_nothing_and_an_unknown_data_set(tmp_path: Path, make_task: MakeTask) -> None:
    task = make_task(source="torchvision", dataset="SVHN", path=str(tmp_path / "nothing"))
    assert "nothing does not exist" in _refusal(task, tmp_path)
    task = make_task(source="torchvision", dataset="CIFAR01")
    assert "unknown dataset 'CIFAR01'; did you mean 'CIFAR10" in _refusal(task, tmp_path)
    assert "unknown dataset ''; known: CIFAR10" in _refusal(
        make_task(source="torchvision"), tmp_path
    )


class _Server:
    """In place of torchvision's class: writes a file per split, or fails at the second."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Any] = []

    def __call__(self, root: Path, download: bool, train: bool) -> None:
        assert download
        self.asked.append(train)
        (root / f"{train}.bin").write_text("data")
        if self.error is not None and not train:
            raise self.error


def test_a_download_is_done_once(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _Server()
    monkeypatch.setattr(source, "_dataset", lambda task: server)
    task = make_task(source="torchvision", dataset="CIFAR10")
    folder, home = tmp_path / "raw", tmp_path / "raw" / "CIFAR10"
    home.mkdir(parents=True)
    source.download(task, folder)
    source.download(task, folder)
    assert server.asked == [True, False]
    assert sorted(file.name for file in home.iterdir()) == ["False.bin", "True.bin", "note.json"]
    assert list(folder.iterdir()) == [home]


def test_two_data_sets_share_a_folder(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_dataset", lambda task: _Server())
    for dataset in ("CIFAR10", "CIFAR100"):
        source.download(make_task(source="torchvision", dataset=dataset), tmp_path)
    assert sorted(home.name for home in tmp_path.iterdir()) == ["CIFAR10", "CIFAR100"]
    assert all(len(list(home.iterdir())) == 3 for home in tmp_path.iterdir())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    # without a note nothing is known of them
    [*(("True.bin", damage) for damage in (cut, flip, Path.unlink)), ("note.json", cut)],
)
def test_damaged_downloads_are_refused_and_fetched_again(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, name: str,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    server = _Server()
    monkeypatch.setattr(source, "_dataset", lambda task: server)
    task = make_task(source="torchvision", dataset="FashionMNIST")
    folder, data = tmp_path / "raw" / "torchvision", tmp_path
    source.download(task, folder)
    before = {path.name: path.read_bytes() for path in (folder / "FashionMNIST").iterdir()}
    assert prepared_data.damaged(task, data) == []
    damage(folder / "FashionMNIST" / name)
    assert f"FashionMNIST/{name} is missing or not as it was fetched" in _refusal(task, folder)
    assert prepared_data.damaged(task, data) == [folder / "FashionMNIST" / name]
    source.download(task, folder)
    assert len(server.asked) == 4
    assert {p.name: p.read_bytes() for p in (folder / "FashionMNIST").iterdir()} == before
    assert prepared_data.damaged(task, data) == []


def test_nobody_asks_for_downloads_once_they_are_prepared(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_dataset", lambda task: _Server())
    task = make_task(source="torchvision", dataset="FashionMNIST")
    source.download(task, tmp_path / "raw" / "torchvision")
    cut(tmp_path / "raw" / "torchvision" / "FashionMNIST" / "True.bin")
    prepared = prepared_data.prepared(task, tmp_path)
    prepared.parent.mkdir()
    prepared.touch()
    assert prepared_data.damaged(task, tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        URLError("no route"),
        RuntimeError("File not found or corrupted."),
        TimeoutError("silent"),
        EOFError("compressed file ended"),
    ],
)
def test_a_failed_download_leaves_nothing(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(source, "_dataset", lambda task: _Server(error))
    task = make_task(source="torchvision", dataset="CIFAR10")
    with pytest.raises(PrunebenchError, match=r"downloading CIFAR10 failed: .*; run again"):
        source.download(task, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_never_downloaded_to(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _Server()
    monkeypatch.setattr(source, "_dataset", lambda task: server)
    task = make_task(source="torchvision", dataset="CIFAR10", path=str(tmp_path))
    source.download(task, tmp_path)
    assert server.asked == []


def test_the_real_fashion_mnist(make_task: MakeTask, shared_data: Path) -> None:
    path = shared_data / "fashion-mnist"
    task = make_task(source="torchvision", dataset="FashionMNIST", path=str(path), val=5000)
    raw = source.read(task, Path("nowhere"))
    assert len(check(raw, task)["names"]) == 10
    sizes = {name: len(chosen) for name, (_, chosen) in split(raw, task).items()}
    assert sizes == {"train": 55_000, "val": 5_000, "test": 10_000}
    assert raw.train.inputs.mean() / 255 == pytest.approx(0.2860, abs=1e-4)  # as published


def test_svhn_has_its_channels_first_and_its_labels_under_a_name_of_its_own(
    make_task: MakeTask, pictures: Pictures
) -> None:
    images = pictures(4, 3, 5, 6)
    data = SimpleNamespace(data=images, labels=np.arange(4))
    split = source._channels_first(data, make_task(source="torchvision", dataset="SVHN"))
    assert np.array_equal(split.inputs, images.transpose(0, 2, 3, 1))
    assert split.targets.tolist() == [0, 1, 2, 3]
