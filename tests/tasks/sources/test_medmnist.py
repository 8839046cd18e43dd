"""MedMNIST's npz, whole and broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks import raw
from prunebench.tasks.prepare import prepare
from prunebench.tasks.sources import medmnist
from prunebench.tasks.sources.medmnist import read

from ..conftest import MakeTask

Pictures = Callable[..., NDArray[np.uint8]]


def _arrays(pictures: Pictures, *shape: int) -> dict[str, Any]:
    return {
        f"{split}_{what}": array
        for split, size in (("train", 8), ("val", 4), ("test", 6))
        for what, array in (
            ("images", pictures(size, *shape)),
            ("labels", np.arange(size, dtype=np.uint8)[:, None] % 2),
        )
    }


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 3)])
def test_all_splits_are_read(
    tmp_path: Path, make_task: MakeTask, pictures: Pictures, shape: tuple[int, ...]
) -> None:
    arrays = _arrays(pictures, *shape)
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    read_back = read(make_task(source="medmnist", path=str(path)), tmp_path)
    for name, split in read_back.splits().items():
        assert np.array_equal(split.inputs.reshape(-1, *shape), arrays[f"{name}_images"])
        assert np.array_equal(split.targets, arrays[f"{name}_labels"][:, 0])
    assert sorted(read_back.splits()) == ["test", "train", "val"]


def _refusal(make_task: MakeTask, path: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        read(make_task(source="medmnist", path=str(path)), path.parent)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class _Trap:
    """What a malicious file would hold: unpickling it calls a function."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (_Trap, "sprung", True)


def test_pickled_objects_are_refused_and_never_run(
    tmp_path: Path, make_task: MakeTask, pictures: Pictures
) -> None:
    path = tmp_path / "set.npz"
    trapped = np.array([_Trap()] * 8, dtype=object)
    np.savez(path, **{**_arrays(pictures, 5, 5), "train_labels": trapped})
    assert "Object arrays cannot be loaded" in _refusal(make_task, path)
    assert not _Trap.sprung


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, train_images=np.zeros((40, 1024, 1024), np.uint8), train_labels=[0])
    assert path.stat().st_size < 2**20
    monkeypatch.setattr(raw, "memory", lambda: 2**25)
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", None)  # nothing is read
    message = _refusal(make_task, path)
    assert message.startswith(f"{path}: decoded and prepared, this would take 0.1 GiB")


def test_a_truncated_file(tmp_path: Path, make_task: MakeTask, pictures: Pictures) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **_arrays(pictures, 5, 5))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert f"{path} is no readable .npz file: " in _refusal(make_task, path)


def test_damage_in_the_middle(tmp_path: Path, make_task: MakeTask, pictures: Pictures) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **_arrays(pictures, 20, 20))
    content = bytearray(path.read_bytes())
    content[200:240] = bytes(40)
    path.write_bytes(content)
    assert "is no readable .npz file" in _refusal(make_task, path)


@pytest.mark.parametrize("content", [b"", b"plain text"])
def test_what_is_no_npz(tmp_path: Path, make_task: MakeTask, content: bytes) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    assert "is no readable .npz file" in _refusal(make_task, path)


def test_a_single_array(tmp_path: Path, make_task: MakeTask) -> None:
    path = tmp_path / "set.npy"
    np.save(path, np.zeros(3))
    assert "is no readable .npz file" in _refusal(make_task, path)


def test_no_path_and_a_path_to_nothing(tmp_path: Path, make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match="source 'medmnist' needs path: a MedMNIST"):
        read(make_task(source="medmnist"), tmp_path)
    assert f"{tmp_path / 'nothing.npz'} does not exist" in _refusal(
        make_task, tmp_path / "nothing.npz"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": np.zeros((8, 14), np.uint8)}, "one whole number each"),
        ({"train_labels": np.full((8, 1), np.nan)}, "one whole number each, got float64"),
        ({"train_images": np.zeros((8, 5, 5, 5), np.uint8)}, "images must be uint8 of shape"),
        ({"train_images": np.zeros((8, 5, 5), np.float32)}, "images must be uint8 of shape"),
        ({"train_labels": np.full(8, 2**64 - 1, np.uint64)}, "is out of range"),
    ],
)
def test_other_kinds_of_data(
    tmp_path: Path,
    make_task: MakeTask,
    pictures: Pictures,
    change: dict[str, Any],
    message: str,
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **{**_arrays(pictures, 5, 5), **change})
    assert message in _refusal(make_task, path)


@pytest.mark.parametrize("missing", ["train_images", "test_labels"])
def test_a_missing_array(
    tmp_path: Path, make_task: MakeTask, pictures: Pictures, missing: str
) -> None:
    arrays = _arrays(pictures, 5, 5)
    del arrays[missing]
    np.savez(tmp_path / "set.npz", **arrays)
    assert missing in _refusal(make_task, tmp_path / "set.npz")


def test_the_real_one(tmp_path: Path, make_task: MakeTask, shared_data: Path) -> None:
    path = shared_data / "pneumoniamnist" / "pneumoniamnist.npz"
    task = make_task(source="medmnist", path=str(path))
    prepare(task, tmp_path, tmp_path / "pneumonia.safetensors")
    raw = read(task, tmp_path)
    assert {name: len(split) for name, split in raw.splits().items()} == {
        "train": 2428,
        "val": 270,
        "test": 468,
    }


def test_a_known_set_is_fetched_and_brings_the_names_of_its_classes(
    tmp_path: Path, make_task: MakeTask, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "server"
    server.mkdir()
    np.savez(server / "file", **_arrays(pictures, 5, 5))
    (server / "file.npz").rename(server / "pneumoniamnist.npz?download=1")
    content = (server / "pneumoniamnist.npz?download=1").read_bytes()
    monkeypatch.setattr(medmnist, "_ZENODO", server.as_uri())
    # a question mark ends the path of a file's address
    (server / "pneumoniamnist.npz").write_bytes(content)
    known = medmnist.Known(hashlib.md5(content).hexdigest(), ("normal", "pneumonia"))
    monkeypatch.setitem(medmnist.DATASETS, "pneumoniamnist", known)
    task = make_task(source="medmnist", dataset="pneumoniamnist")
    medmnist.download(task, tmp_path / "raw")
    raw = read(task, tmp_path / "raw")
    assert raw.names == ("normal", "pneumonia")
    assert len(raw.train) == 8


def test_unknown_sets_and_no_path_are_refused_before_any_data_are_there(
    make_task: MakeTask,
) -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'pneumonia'; did you mean 'pneumo"):
        medmnist.check(make_task(source="medmnist", dataset="pneumonia"))
    with pytest.raises(PrunebenchError, match=r"needs path: a MedMNIST \.npz file"):
        medmnist.check(make_task(source="medmnist"))
