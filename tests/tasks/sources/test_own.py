"""Data of one's own: from a function, from a data set of PyTorch's, from a file of arrays."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.tasks.prepare import prepare
from prunebench.tasks.raw import Raw
from prunebench.tasks.sources.own import check, read
from prunebench.tasks.task_data import load

from ..conftest import MakeTask

Give = Callable[..., Raw]


@pytest.fixture
def give(tmp_path: Path, make_task: MakeTask) -> Give:
    """Reads what a function of this body gives."""

    def read_it(body: str, **settings: Any) -> Raw:
        code = f"import numpy as np\n\n\ndef mine():\n{textwrap.indent(body, '    ')}\n"
        path = tmp_path / f"data_{abs(hash(body))}.py"
        path.write_text(code)
        return read(make_task(source="own", path=f"{path}:mine", **settings), tmp_path)

    return read_it


def test_floats_reach_the_network_as_they_are(tmp_path: Path, make_task: MakeTask) -> None:
    draw = np.random.default_rng(0)
    inputs, labels = draw.normal(5, 3, (40, 2, 6, 7)), np.arange(40) % 2
    np.savez(
        tmp_path / "mine.npz", train_inputs=inputs, train_targets=labels,
        test_inputs=inputs[:8], test_targets=labels[:8], classes=["no", "yes"],
    )  # fmt: skip
    task = make_task(source="own", path=str(tmp_path / "mine.npz"), val=10)
    prepare(task, tmp_path, tmp_path / "task.safetensors")
    data = load(tmp_path / "task.safetensors")
    assert data.names == ("no", "yes")
    assert {name: len(part) for name, part in data.inputs.items()} == {
        "train": 30, "val": 10, "test": 8
    }  # fmt: skip
    given = torch.from_numpy(inputs[:8].astype(np.float32))
    assert torch.equal(data.normalized(data.inputs["test"]), given)
    assert data.normalized(data.inputs["test"]).data_ptr() != data.inputs["test"].data_ptr()
    facts = data.facts.of("in_chans", "image_size", "num_classes", network="mine")
    assert facts == [2, (6, 7), 2]


def test_rows_reach_the_network_as_they_are(tmp_path: Path, make_task: MakeTask) -> None:
    inputs = np.random.default_rng(0).normal(5, 3, (40, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", train_inputs=inputs, train_targets=inputs.sum(1, keepdims=True))
    path = str(tmp_path / "a.npz")
    task = make_task(source="own", path=path, kind="regression", val=10, test=10)
    prepare(task, tmp_path, tmp_path / "task.safetensors")
    data = load(tmp_path / "task.safetensors")
    assert torch.equal(data.normalized(data.inputs["train"]), data.inputs["train"])
    assert torch.allclose(data.targets["train"], data.inputs["train"].sum(1))
    assert data.facts.of("num_features", network="mine") == [3]


def test_a_data_set_of_pytorchs_is_read_item_by_item(give: Give) -> None:
    raw = give(
        """\
        import torch
        inputs = torch.arange(24.0).view(6, 1, 2, 2)
        return {"train": torch.utils.data.TensorDataset(inputs, torch.tensor([0, 1, 0, 1, 0, 1]))}
        """.replace("        ", "")
    )
    assert raw.train.inputs.tolist() == np.arange(24.0).reshape(6, 1, 2, 2).tolist()
    assert raw.train.targets.tolist() == [0, 1, 0, 1, 0, 1]
    assert (raw.train.inputs.dtype, raw.train.targets.dtype) == (np.float32, np.int64)
    assert (raw.form, raw.val, raw.test) == ("arrays", None, None)


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 1), (4, 1, 5, 6), (4, 3, 5, 6)])
def test_bytes_are_images_in_any_order(give: Give, shape: tuple[int, ...]) -> None:
    raw = give(f"return {{'train': (np.arange({np.prod(shape)}, dtype=np.uint8).reshape{shape},"
               " [0, 1, 0, 1])}")  # fmt: skip
    channels = 3 if 3 in shape else 1
    assert (raw.form, raw.train.inputs.shape) == ("pixels", (4, 5, 6, channels))
    plain = np.arange(np.prod(shape), dtype=np.uint8)
    if channels == 3:
        assert raw.train.inputs[1, 2, 3].tolist() == plain.reshape(shape)[1, :, 2, 3].tolist()
    else:
        assert raw.train.inputs.ravel().tolist() == plain.tolist()


def test_whole_numbers_are_tokens(give: Give) -> None:
    raw = give("return {'train': (np.array([[1, 7], [2, 0]]), [0, 1])}")
    assert (raw.form, raw.train.inputs.dtype, len(raw.facts["vocabulary"])) == (
        "tokens", np.int32, 8
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'tain': ([[1.0]], [0])}", "'tain' is no split; did you mean 'train'"),
        ("return {'val': ([[1.0]], [0])}", "has no train split"),
        ("return [1]", "must return a mapping of splits, {'train': (inputs, targets)}"),
        ("raise KeyError('x')", ":mine: KeyError: 'x'"),
        ("return {'train': ([[1.0]], [0], 3)}", "train: must be (inputs, targets), has 3 parts"),
        ("return {'train': 3}", "a data set with a length, found a int"),
        ("return {'train': ([['a']], [0])}", "train: inputs: must be numbers, found <U1"),
        ("return {'train': ([[1.0], [1.0, 2]], [0])}", "train: inputs: no array: ValueError"),
        ("return {'train': ([1, 2], [0, 1])}", "inputs must be floats [N, ...], images of bytes"),
        ("return {'train': (np.zeros((2, 4, 4, 4), np.uint8), [0, 1])}", "have 1 or 3 channels"),
        ("return {'train': ([[1.0]], [0.5])}", "train: labels must be one whole number each"),
        ("return {'train': {0: ([1.0], 0), 1: ([1.0, 2.0], 0)}}",
         "train: input 1 has shape [2], the first [1]"),
        ("return {'train': {0: ([1.0], 0), 2: ([1.0], 0)}}", "train: item 1: KeyError: 1"),
        ("return {'train': ([[1.0]], [0]), 'test': ([[1]], [0])}",
         "the splits hold arrays (train), tokens (test)"),
        ("return {'train': ([[1.0]], [0]), 'classes': 3}", "classes must be a list of names"),
        ("return {'train': ([[1.0]], [0]), 'classes': np.array(3)}", "must be a list of names"),
    ],
)  # fmt: skip
def test_what_is_no_data(give: Give, body: str, message: str) -> None:
    with pytest.raises(PrunebenchError, match=re.escape(message)) as caught:
        give(body)
    assert "\n" not in str(caught.value)


def test_infinite_inputs_are_refused(tmp_path: Path, make_task: MakeTask) -> None:
    inputs = np.ones((6, 2))
    inputs[4, 1] = np.inf
    np.savez(tmp_path / "a.npz", train_inputs=inputs, train_targets=[0, 1] * 3)
    task = make_task(source="own", path=str(tmp_path / "a.npz"), val=2, test=2)
    with pytest.raises(PrunebenchError, match="input 4 holds what is not a finite number"):
        prepare(task, tmp_path, tmp_path / "task.safetensors")


def test_a_kind_that_takes_neither_images_nor_rows(tmp_path: Path, make_task: MakeTask) -> None:
    np.savez(tmp_path / "a.npz", train_inputs=np.ones((6, 2)), train_targets=np.ones((6, 2)))
    task = make_task(source="own", path=str(tmp_path / "a.npz"), kind="language-model")
    with pytest.raises(PrunebenchError, match="kind language-model takes tokens; source 'own'"):
        prepare(task, tmp_path, tmp_path / "task.safetensors")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, "needs path: file.py:function"),
        ("a.csv", "path 'a.csv' must be file.py:function"),
        ("there.py:yours", "there.py has no class or function 'yours'; known: mine"),
        ("not_there.py:mine", "path not_there.py: No such file"),
    ],
)
def test_paths_that_name_no_data(
    tmp_path: Path, monkeypatch, make_task: MakeTask, path: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.py").write_text("def mine(): ...\n")
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        check(make_task(source="own", path=path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_inputs": [[1.0]]}, "train needs train_inputs and train_targets"),
        ({"train_input": [[1.0]]}, "unknown array 'train_input'; did you mean 'train_inputs'"),
        (
            {"train_inputs": [[1.0]], "train_targets": [0], "classes": np.array(3)},
            "classes must be a list of names",
        ),
        ({"train_inputs": np.array([None]), "train_targets": [0]}, "cannot be read"),
    ],
)
def test_files_of_other_arrays(
    tmp_path: Path, make_task: MakeTask, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        read(make_task(source="own", path=str(tmp_path / "a.npz")), tmp_path)


def test_arrays_of_other_names_are_mapped(tmp_path: Path, make_task: MakeTask) -> None:
    images, labels = np.zeros((6, 5, 5), np.uint8), np.arange(6) % 2
    images[:, 0, 0] = np.arange(6)
    file = tmp_path / "mnist.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images[:2], y_test=labels[:2], odd=[1])
    keys = {"train_inputs": "x_train", "train_targets": "y_train", "test_inputs": "x_test",
            "test_targets": "y_test"}  # fmt: skip
    raw = read(make_task(source="own", path=str(file), val=2, keys=keys), tmp_path)
    assert raw.test is not None
    assert np.array_equal(raw.train.inputs[..., 0], images)
    assert np.array_equal(raw.test.targets, labels[:2])
    for wrong, told in (
        ({"train_input": "x_train"}, "did you mean 'train_inputs'"),
        ({"train_inputs": "x_trian"}, "no array 'x_trian'; did you mean 'x_train'"),
        ({}, "keys: says which is which"),
    ):
        with pytest.raises(PrunebenchError, match=re.escape(told)):
            read(make_task(source="own", path=str(file), val=2, keys=wrong), tmp_path)
    with pytest.raises(ValueError, match=r"keys: is for a \.npz file"):
        make_task(source="folder", path=str(file), keys=keys)
    assert "keys" not in make_task(source="own", path=str(file)).settings()
