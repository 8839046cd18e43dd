"""Preparation: splits, checks, the file and what describes it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Task
from prunebench.storage.files import replacing, sha256_file
from prunebench.tasks import prepare as prepare_module
from prunebench.tasks.forms import moments
from prunebench.tasks.prepare import check, prepare, sidecar, split
from prunebench.tasks.raw import Raw, Split
from prunebench.tasks.stratified import permuter, stratified

from .conftest import MakeTask


def _split(labels: list[int], tag: int = 0) -> Split:
    """Images of one pixel row that say which split and position they come from."""
    images = np.zeros((len(labels), 1, 4, 1), np.uint8)
    images[:, 0, 0, 0] = tag
    images[:, 0, 1, 0] = np.arange(len(labels))
    return Split(images, np.array(labels, np.int64))


def _task(**settings: Any) -> Task:
    return Task(**{"name": "mine", "source": "digits", **settings})


@given(
    labels=st.lists(st.integers(0, 2), min_size=30, max_size=200),
    share=st.floats(0.05, 0.4),
    test=st.integers(3, 10),
    seed=st.integers(0, 2**31),
)
def test_splits_are_disjoint_stratified_and_the_same_every_time(
    labels: list[int], share: float, test: int, seed: int
) -> None:
    raw = Raw(_split(labels))
    task = _task(val=share, test=test, split_seed=seed)
    parts = {name: chosen for name, (_, chosen) in split(raw, task).items()}
    rest = len(labels) - test
    assert {name: len(chosen) for name, chosen in parts.items()} == {
        "train": rest - round(share * rest),
        "val": round(share * rest),
        "test": test,
    }
    together = np.concatenate(list(parts.values()))
    assert sorted(together) == list(range(len(labels)))
    counted = raw.train.targets[parts["test"]]
    shares = {label: labels.count(label) * test / len(labels) for label in set(labels)}
    plain = stratified(raw.train.targets, test, permuter(seed, 0))
    if all(
        0 < (raw.train.targets[plain] == label).sum() <= labels.count(label) - 2 for label in shares
    ):
        assert np.array_equal(parts["test"], plain)  # what was fine before stays
        for label, share in shares.items():
            assert abs((counted == label).sum() - share) < 1
    if all(labels.count(label) >= 3 for label in shares) and len(parts["val"]) >= len(shares):
        for chosen in parts.values():  # tiny classes too are in every split
            assert set(raw.train.targets[chosen]) == set(labels)
    again = split(raw, task)
    assert all(np.array_equal(again[name][1], chosen) for name, chosen in parts.items())


def test_the_test_set_does_not_depend_on_the_other_sizes() -> None:
    raw = Raw(_split([0, 1] * 50))
    wide, narrow = _task(val=20, test=10), _task(train=30, val=5, test=10)
    assert np.array_equal(split(raw, wide)["test"][1], split(raw, narrow)["test"][1])
    other = _task(val=20, test=10, split_seed=1)
    assert not np.array_equal(split(raw, wide)["test"][1], split(raw, other)["test"][1])


def test_official_splits_are_kept_apart_and_may_be_cut() -> None:
    raw = Raw(_split([0, 1] * 10, 1), _split([0, 1] * 5, 2), _split([0, 1] * 6, 3))
    whole = split(raw, _task(val=0.1))
    assert [len(whole[name][1]) for name in ("train", "val", "test")] == [20, 10, 12]
    cut = split(raw, _task(train=8, val=4, test=6))
    for name, tag, size in (("train", 1, 8), ("val", 2, 4), ("test", 3, 6)):
        origin, chosen = cut[name]
        assert set(origin.inputs[chosen][:, 0, 0, 0].tolist()) == {tag}
        assert len(chosen) == size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": None}, "the source has no test split; set test:"),
        ({"test": 101}, "test: 101 asked, only 100 images are left"),
        ({"test": 90, "val": 11}, "val: 11 asked, only 10 images are left"),
        ({"test": 10, "val": 10, "train": 81}, "train: 81 asked, only 80 images are left"),
        ({"test": 50, "val": 50}, "train would be empty (0 images are left)"),
        ({"test": 10, "val": 0.001}, "val would be empty"),
    ],
)
def test_sizes_that_cannot_be_had(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=r"^task 'mine': ") as caught:
        split(Raw(_split([0, 1] * 50)), _task(**settings))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": None}, "set test: to the number of ratings to take out of training"),
        ({"test": 101}, "only 100 ratings are left"),
        ({"test": 100}, "would be empty (0 ratings are left)"),
    ],
)
def test_refusals_call_samples_by_their_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        split(Raw(_split([0, 1] * 50), item="rating"), _task(**settings))
    assert message in str(caught.value)
    assert "image" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (Raw(_split([0, 1, -1])), "train label -1 of image 2 is out of range"),
        (Raw(_split([0, 1, 2]), names=("a", "b")), "train label 2 of image 2 is out of range"),
        (Raw(_split([0, 1]), test=_split([0, 2])), "test label 2 of image 1 is out of range"),
        (Raw(_split([0, 4711])), "no training image of class 1, though"),
        (Raw(_split([0, 1]), names=("a", "b", "c")), "no training image of class 2"),
        (Raw(_split([])), "the train split of the source is empty"),
        (Raw(_split([0, 1]), test=_split([])), "the test split of the source is empty"),
        (Raw(_split([0, 0])), "one class only"),
        (Raw(Split(_split([0, 1]).inputs, _split([0]).targets)), "2 images but 1 targets"),
    ],
)
def test_bad_labels(raw: Raw, message: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        check(raw, _task())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "facts", "message"),
    [
        ("classification", {"users": 3, "items": 4},
         "takes pixels or features or tokens; source 'digits'"),
        ("recommendation", {"vocabulary": ["", "a"]}, "takes pairs; source 'digits' gives tokens"),
        ("detection", {}, "takes pixels; source 'digits' gives int32 of shape [2, 2]"),
    ],
)  # fmt: skip
def test_tokens_and_pairs_are_told_apart(kind: str, facts: dict[str, Any], message: str) -> None:
    """Both are int32: what the source tells of them says which they are."""
    numbers = np.array([[0, 1], [2, 0]], np.int32)
    raw = Raw(Split(numbers, np.array([0, 1])), facts=facts, item="rating")
    with pytest.raises(PrunebenchError) as caught:
        check(raw, _task(kind=kind))
    assert message in str(caught.value)


def test_a_training_split_too_small_for_its_classes(tmp_path: Path) -> None:
    task = _task(train=5, val=100, test=100)
    with pytest.raises(PrunebenchError, match="5 training images leave none of class '"):
        prepare(task, tmp_path, tmp_path / "digits.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("own", "settings", "message"),
    [
        # the source's validation and test stop in the first class of a sorted file
        ({"val": [0] * 30}, {}, "30 validation images show none of class '1' and 1 more; the"
         " source's own"),
        ({"test": [0, 1] * 9}, {"val": 9}, "18 test images show none of class '2'; the source's"),
        ({"val": [0, 1, 2] * 5}, {"val": 2}, "2 validation images show none of class '2'; raise"
         " val:"),
        ({}, {"val": 2, "test": 9}, "2 validation images show none of class '2'; raise val:"),
    ],
)  # fmt: skip
def test_a_split_that_lacks_a_class_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: dict[str, list[int]],
    settings: dict[str, Any], message: str,
) -> None:  # fmt: skip
    whole = [0, 1, 2] * 20
    given = {name: _split(labels) for name, labels in own.items()}
    raw = Raw(_split(whole), given.get("val"), given.get("test", _split(whole)))
    if not own:
        raw = Raw(_split(whole))
    monkeypatch.setattr("prunebench.tasks.sources.reader", lambda name: lambda task, folder: raw)
    with pytest.raises(PrunebenchError, match=r"^task 'mine': ") as caught:
        prepare(_task(**settings), tmp_path, tmp_path / "file")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_class_too_small_for_all_splits_is_refused_and_one_large_enough_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Raw(_split([0] * 97 + [1] * 3 + [2] * 2), names=("a", "b", "c"))
    monkeypatch.setattr("prunebench.tasks.sources.reader", lambda name: lambda task, folder: raw)
    with pytest.raises(PrunebenchError, match=(
        r"none of class 'c'; the source has 2 of class 'c'.* need one each: add some"
    )):  # fmt: skip
        prepare(_task(val=0.2, test=20), tmp_path, tmp_path / "file")
    raw = Raw(_split([0] * 97 + [1] * 3 + [2] * 3), names=("a", "b", "c"))
    prepare(_task(val=0.2, test=20), tmp_path, tmp_path / "file")
    tensors = load_file(tmp_path / "file")
    for name, size in (("train", 66), ("val", 17), ("test", 20)):
        assert np.bincount(tensors[f"{name}_labels"]).tolist() == [size - 2, 1, 1]


def test_moments_are_those_of_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 200, (1500, 3, 4, 5), dtype=np.uint8)
    mean, std = moments(images)
    assert np.allclose(mean, (images / 255).mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(std, (images / 255).std((0, 2, 3)), rtol=1e-12)
    assert moments(np.full((2, 1, 3, 3), 7, np.uint8)) == ([7 / 255], [0.0])


def test_digits_are_prepared_the_same_twice(tmp_path: Path, make_task: MakeTask) -> None:
    task = make_task(image_size=16, train=500, val=297, test=1000)
    target, again = tmp_path / "a" / "digits.safetensors", tmp_path / "b" / "digits.safetensors"
    prepare(task, tmp_path, target)
    prepare(task, tmp_path, again)
    assert target.read_bytes() == again.read_bytes()
    assert sidecar(target).read_bytes() == sidecar(again).read_bytes()
    tensors = load_file(target)
    assert {name: (array.dtype, array.shape) for name, array in tensors.items()} == {
        f"{split}_{what}": (np.dtype(kind), (size, *shape))
        for split, size in (("train", 500), ("val", 297), ("test", 1000))
        for what, kind, shape in (("images", np.uint8, (1, 16, 16)), ("labels", np.int64, ()))
    }
    described = json.loads(sidecar(target).read_text())
    assert described["sha256"] == sha256_file(target)
    assert described["sizes"] == {"train": 500, "val": 297, "test": 1000}
    assert described["classes"] == [str(digit) for digit in range(10)]
    assert described["shape"] == [1, 16, 16]
    assert described["source"]["source"] == "digits"


def test_preparing_digits_imports_neither_torch_nor_torchvision(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from prunebench.experiment.settings import Task\n"
        "from prunebench.tasks.prepare import prepare\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "task = Task(name='d', source='digits', image_size=16, val=100, test=100)\n"
        "prepare(task, folder, folder / 'd.safetensors')\n"
        "assert not {'torch', 'torchvision'} & set(sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, cwd=root)


def test_splits_of_different_shapes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = _split([0, 1])
    raw = Raw(_split([0, 1] * 5), test=Split(small.inputs[:, :, :3], small.targets))
    monkeypatch.setattr("prunebench.tasks.sources.reader", lambda name: lambda task, folder: raw)
    with pytest.raises(PrunebenchError, match=r"the splits differ in shape .*test \[1, 1, 3\]"):
        prepare(_task(val=4), tmp_path, tmp_path / "file")


def test_images_that_are_all_the_same_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = Split(np.full((40, 8, 8, 3), 7, np.uint8), np.arange(40) % 2)
    monkeypatch.setattr(
        "prunebench.tasks.sources.reader", lambda name: lambda task, folder: Raw(same)
    )
    with pytest.raises(PrunebenchError, match="all 20 training images are the same"):
        prepare(_task(val=10, test=10), tmp_path, tmp_path / "file")
    same.inputs[:, 3, 3, 1] = np.arange(40)
    prepare(_task(val=10, test=10), tmp_path, tmp_path / "file")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match="cannot write"):
        prepare(_task(val=100, test=100), tmp_path, tmp_path / "file" / "digits.safetensors")


def test_inputs_and_targets_of_tokens_are_two_tensors(tmp_path: Path) -> None:
    """A language model whose inputs were its targets would err nowhere."""
    task = Task(
        name="markov", kind="language-model", source="hidden-markov", train=20, val=10, test=10
    )
    prepare(task, tmp_path, tmp_path / "markov.safetensors")
    stored = load_file(tmp_path / "markov.safetensors")
    tokens, following = stored["train_tokens"], stored["train_targets"]
    assert np.array_equal(tokens[:, 1:], following[:, :-1])
    assert not np.array_equal(tokens, following)


@settings(deadline=None, max_examples=20)
@given(
    labels=st.lists(st.integers(0, 2), min_size=60, max_size=200),
    calibration=st.integers(3, 20) | st.floats(0.05, 0.3),
)
def test_calibration_comes_out_of_training_alone(
    labels: list[int], calibration: int | float
) -> None:
    raw = Raw(_split(labels))
    sizes = {"val": 6, "test": 5}
    without = {name: chosen for name, (_, chosen) in split(raw, _task(**sizes)).items()}
    task = _task(**sizes, calibration=calibration)
    parts = {name: chosen for name, (_, chosen) in split(raw, task).items()}
    assert list(parts) == ["train", "val", "test", "calibration"]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    assert np.array_equal(parts["test"], without["test"])
    rest = len(labels) - 11
    share = calibration if isinstance(calibration, int) else round(calibration * rest)
    assert len(parts["calibration"]) == share
    assert origin_of(raw, task) is raw.train


def origin_of(raw: Raw, task: Task) -> Split:
    return split(raw, task)["calibration"][0]


def test_calibration_is_never_the_validation_that_the_source_has() -> None:
    raw = Raw(_split([0, 1] * 20), val=_split([0, 1] * 5, tag=1), test=_split([0, 1] * 5, tag=2))
    parts = split(raw, _task(calibration=8))
    assert parts["calibration"][0] is raw.train
    assert not set(parts["calibration"][1]) & set(parts["train"][1])
    assert len(parts["train"][1]) == 32


def test_the_file_in_work_stays_the_one_that_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that prepares the same data removes what no lock is on."""
    seen = []

    @contextmanager
    def watched(path: Path) -> Iterator[Path]:
        with replacing(path) as temporary:
            before = temporary.stat().st_ino
            yield temporary
            seen.append(temporary.stat().st_ino == before)

    monkeypatch.setattr(prepare_module, "replacing", watched)
    tensors = {"x": np.arange(6, dtype=np.int64)}
    prepare_module._write(tensors, {"kind": "x"}, tmp_path / "a.safetensors")
    assert seen[-1] is True  # the tensors; a text is moved in after it is written
    assert load_file(tmp_path / "a.safetensors")["x"].tolist() == list(range(6))
