"""Taking a cell away: the file predicts what the cell did, its card says what the record says."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file, save_file

from prunebench import cli, config, pipeline
from prunebench.compress.export import Deployed, Package, format_of, load_network
from prunebench.compress.fresh import agreement, predict_fresh
from prunebench.compress.shrink import shrink
from prunebench.compress.structure import describe, restore
from prunebench.errors import PrunebenchError, Refused
from prunebench.files import read_json, read_sealed, sha256_file, write_json, write_sealed
from prunebench.inputs import prepared
from prunebench.layout import PREDICTIONS, RECORD, WEIGHTS
from prunebench.plan import Plan
from prunebench.settings import Model
from prunebench.tasks.data import TaskData
from prunebench.work.take import Place, Taken, locate, take
from tests.compress.nets import build, gone, images

GRID: dict[str, Any] = {
    "experiment": "tiny",
    "tasks": [{"name": "digits", "train": 120, "val": 50, "test": 80}],
    "regimes": [{"name": "noisy", "label_noise": 0.1}],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["l1-filter", "magnitude"],
    "sparsities": [0.5],
    "training": {"epochs": 6, "recovery_epochs": 2, "batch_size": 20},
}  # fmt: skip


@dataclass
class Ran:
    """A finished grid."""

    plan: Plan
    data: Path
    cells: pd.DataFrame

    def folder(self, method: str, sparsity: float = 0.5) -> Path:
        return self.plan.layout.cell("digits", "noisy", "seed-cnn", 0, method, sparsity)

    def take(self, place: Place, kind: str = "onnx", target: Path | None = None) -> Taken:
        data = prepared(self.plan.experiment.tasks[0], self.data)
        return take(self.plan, place, kind, target, data)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("grid")
    plan, data = Plan(config.parse(GRID), folder / "results"), folder / "data"
    deterministic = torch.are_deterministic_algorithms_enabled()
    path = pipeline.run(plan, data)
    yield Ran(plan, data, pd.read_csv(path))
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def taken(ran: Ran) -> Taken:
    return ran.take(locate(ran.folder("l1-filter")))


def changed(ran: Ran, tmp_path: Path, method: str = "l1-filter") -> Path:
    """A copy of the experiment, to be spoilt; the folder of a cell of it."""
    shutil.copytree(ran.plan.layout.root, tmp_path / "tiny")
    return tmp_path / "tiny" / ran.folder(method).relative_to(ran.plan.layout.root)


# ------------------------------------------------------------------------- a cell


def test_the_file_predicts_what_the_cell_did(ran: Ran, taken: Taken) -> None:
    assert taken.folder == ran.plan.layout.root.joinpath(
        "export", "digits", "noisy", "seed-cnn", "seed-0", "l1-filter", "0.5", "onnx"
    )
    assert (taken.kind, taken.agreement.images, taken.agreement.share) == ("shrunk", 80, 1.0)
    assert taken.agreement.difference < 1e-5
    assert set(taken.files) == {path.name for path in taken.folder.iterdir()}
    # again, in this process, of the images as they were prepared
    import onnxruntime

    session = onnxruntime.InferenceSession(taken.folder / "model.onnx")
    data = load_file(prepared(ran.plan.experiment.tasks[0], ran.data))
    test = data["test_images"].numpy()
    assert test.dtype == np.uint8
    stored = load_file(ran.folder("l1-filter") / PREDICTIONS)["test"].numpy()
    for batch in (1, 7, 80):
        found = session.run(None, {"images": test[:batch]})[0]
        np.testing.assert_allclose(found, stored[:batch], rtol=1e-4, atol=1e-4)


def test_the_file_says_where_it_is_from(ran: Ran, taken: Taken) -> None:
    said, model = read_json(taken.folder / "export.json"), onnx.load(taken.folder / "model.onnx")
    record = read_json(ran.folder("l1-filter") / RECORD)
    about = {item.key: item.value for item in model.metadata_props}
    assert (about["identity"], about["method"]) == (record["identity"], "l1-filter")
    assert json.loads(about["classes"]) == [str(digit) for digit in range(10)]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", said["opset"])]
    assert said["identity"] == record["identity"]
    assert said["cell"] == "tiny/cells/digits/noisy/seed-cnn/seed-0/l1-filter/0.5"
    assert said["files"]["model.onnx"] == {
        "bytes": (taken.folder / "model.onnx").stat().st_size,
        "sha256": sha256_file(taken.folder / "model.onnx"),
    }
    weights = sum(np.prod(tensor.dims) for tensor in model.graph.initializer)
    assert 0.4 < weights / record["params_total"] < 0.6  # half of the filters are gone


def test_the_card_says_what_the_table_says(ran: Ran, taken: Taken) -> None:
    text = (taken.folder / "README.md").read_text()
    front, body = text.removeprefix("---\n").split("---\n", 1)
    cells = ran.cells.set_index("method")
    row, dense = cells.loc["l1-filter"], cells.loc["dense"]
    [result] = yaml.safe_load(front)["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == pytest.approx(1 - row["test_error"], abs=1e-6)
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in body.splitlines()]
    table = {parts[0]: parts[1:] for parts in rows if len(parts) == 3}
    for name, column in (
        ("test error", "test_error"), ("validation error", "val_error"),
        ("training error, labels trained on", "train_error"),
        ("test predictions unlike the dense network's", "flips"),
    ):  # fmt: skip
        assert table[name] == [f"{row[column]:.2%}", f"{dense[column]:.2%}"], name
    assert table["parameters"][1] == f"{dense['params_total']:,}"
    assert table["MACs an image, dense kernels"][1] == f"{dense['macs_dense']:,}"
    assert f"{row['sparsity_achieved']:.2%} of its prunable weights" in body
    for word in ("l1-norm", "fine-tuning", row["identity"], "label noise**: 0.1", "import onnxr"):
        assert word in body, word
    sections = [line.removeprefix("## ") for line in body.splitlines() if line.startswith("## ")]
    assert sections[:4] == [
        "Model Details", "Uses", "Bias, Risks, and Limitations",
        "How to Get Started with the Model",
    ]  # fmt: skip
    assert "None" not in body


def test_the_code_of_the_card_is_the_code_that_was_run(taken: Taken) -> None:
    text = (taken.folder / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert code == format_of("onnx").loader


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dense", "magnitude", "l1-filter"])
@pytest.mark.parametrize("kind", ["onnx", "torch-export", "safetensors"])
def test_every_format_predicts_the_same_in_a_fresh_process(
    ran: Ran, tmp_path: Path, kind: str, method: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_json(ran.plan.layout.config, ran.plan.experiment.model_dump(mode="json"))
    cell = ran.folder(method, 0.0 if method == "dense" else 0.5)
    monkeypatch.setattr(
        sys, "argv",
        ["prunebench", "export", str(cell), "--to", kind, "--output", str(tmp_path / "out"),
         "--data", str(ran.data), "--json"],
    )  # fmt: skip
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code in (0, None)
    said = json.loads(capsys.readouterr().out)
    assert said["share"] == 1.0
    assert said["network"] in {"dense": "dense", "l1-filter": "shrunk"}.get(method, said["network"])
    assert sorted(said["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir())


# ---------------------------------------------------------------- what is refused


def test_what_is_no_cell_is_told_with_the_nearest_one(ran: Ran) -> None:
    folder = ran.folder("l1-filter")
    with pytest.raises(PrunebenchError, match=r"no cell's folder: it would be results/"):
        locate(ran.plan.layout.root)
    with pytest.raises(PrunebenchError, match=r"has no 'l1-filtr'; did you mean 'l1-filter'\?"):
        locate(folder.parents[1] / "l1-filtr" / "0.5")
    with pytest.raises(PrunebenchError, match=r"no such cell: .* has no '0\.7'"):
        locate(folder.with_name("0.7"))
    with pytest.raises(PrunebenchError, match="no format 'onx'; did you mean 'onnx'"):
        ran.take(locate(folder), "onx")


def test_a_cell_without_a_network_has_nothing_to_export(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    record = read_sealed(folder / RECORD)
    for status in ("failed", "diverged"):
        write_sealed(folder / RECORD, {**record, "status": status, "message": "the reason"})
        with pytest.raises(PrunebenchError, match=rf"{status}: the reason; it has nothing to"):
            ran.take(locate(folder))
    (folder / RECORD).unlink()
    with pytest.raises(PrunebenchError, match="the cell is not finished"):
        locate(folder)


def test_damaged_weights_are_found_before_anything_is_built(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(PrunebenchError, match=r"weights\.safetensors is missing or damaged"):
        ran.take(locate(folder))


def test_other_data_and_another_configuration_are_refused(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    record = read_sealed(folder / RECORD)
    write_sealed(folder / RECORD, {**record, "data_hash": "0" * 64})
    with pytest.raises(PrunebenchError, match="was computed on other data"):
        ran.take(locate(folder))
    other = Ran(Plan(config.parse({**GRID, "methods": ["imp"]}), tmp_path), ran.data, ran.cells)
    with pytest.raises(PrunebenchError, match="it is of an earlier configuration"):
        other.take(locate(folder))


def test_a_file_that_predicts_otherwise_is_not_written(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    stored = load_file(folder / PREDICTIONS)
    stored["test"][0] = -stored["test"][0]  # one image of 80: 98.75 %
    save_file(stored, folder / PREDICTIONS)
    record = read_sealed(folder / RECORD)
    record["files"][PREDICTIONS] = sha256_file(folder / PREDICTIONS)
    write_sealed(folder / RECORD, record)
    with pytest.raises(PrunebenchError, match=r"98\.75% of 80 test images, less than 99\.9%"):
        ran.take(locate(folder), target=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_an_error_is_one_line(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = str(ran.folder("l1-filtr"))
    monkeypatch.setattr(sys, "argv", ["prunebench", "export", cell])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert err.startswith("error: no such cell: ")
    assert len(err.splitlines()) == 1


# ------------------------------------------------------------------------- parts


def test_preprocessing_is_that_of_the_task() -> None:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8, generator=draw)
    splits = dict.fromkeys(("train", "val", "test"), pixels)
    # the last channel never changes
    mean, std = torch.tensor([0.1, 0.5, 0.3]), torch.tensor([0.2, 0.7, 0.0])
    data = TaskData(splits, {}, ("a", "b"), mean, std, "")
    deployed = Deployed(torch.nn.Identity(), *data.moments)
    torch.testing.assert_close(deployed(pixels), data.normalized(pixels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "arguments", "layer"),
    [
        ("test_vit", {"img_size": 32}, "blocks.0.mlp.fc1"),
        ("test_efficientnet", {}, "conv_stem"),
        ("test_resnet", {}, "layer2.0.conv1"),
    ],
)
def test_a_shrunk_network_comes_back_from_its_safetensors(
    name: str, arguments: dict[str, Any], layer: str, tmp_path: Path
) -> None:
    model, inputs = build(name, **arguments), images()
    masks = gone(model, layer, 0, 3)
    shrunk = shrink(model, masks, inputs[:1])
    assert shrunk.removed
    package = Package(
        deployed=Deployed(shrunk.model, torch.tensor([90.0, 100, 110]), torch.tensor([60.0] * 3)),
        dense=build(name, **arguments), masks=masks,
        model=Model(name=name, arguments=arguments), width=1.0,
        classes=("a", "b", "c", "d", "e"), shape=(3, 32, 32), about={"experiment": "x"},
    )  # fmt: skip
    format_of("safetensors").write(package, tmp_path)
    found = load_network(tmp_path)
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(found(pixels), package.deployed(pixels), rtol=0, atol=0)
    said = read_json(tmp_path / "model.json")
    assert said["preprocessing"]["mean"] == [90, 100, 110]
    stored = load_file(tmp_path / said["masks"])
    assert {key: value.bool().tolist() for key, value in stored.items()} == {
        key: value.tolist() for key, value in masks.items()
    }
    write_json(tmp_path / "model.json", {**said, "structure": {"replaced": ["nothing.here"]}})
    with pytest.raises(PrunebenchError, match="of another network"):
        load_network(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(PrunebenchError, match=r"model\.safetensors is missing"):
        load_network(tmp_path)


def test_a_block_that_went_and_a_bias_that_came_are_restored() -> None:
    dense = torch.nn.Sequential(
        torch.nn.Linear(3, 4, bias=False), torch.nn.Sequential(torch.nn.Linear(4, 4))
    )
    shrunk = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Identity()).eval()
    said = json.loads(json.dumps(describe(dense, shrunk)))
    assert said == {"replaced": ["1"], "attributes": {"0": {"out_features": 2}}}
    restore(dense, said, shrunk.state_dict())
    x = torch.randn(5, 3)
    torch.testing.assert_close(dense(x), shrunk(x), rtol=0, atol=0)
    with pytest.raises(PrunebenchError, match="cannot describe '1': ReLU in place of Identity"):
        describe(dense, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()))


FINITE = st.floats(-1e3, 1e3, width=32)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, (6, 4), elements=FINITE), st.integers(0, 5))
def test_predictions_agree_with_themselves_and_not_with_others(stored: Any, at: int) -> None:
    assert agreement(stored, stored).share == 1
    assert agreement(stored, stored).difference == 0
    other = stored.copy()
    other[at] = np.roll(np.arange(4), int(stored[at].argmax()) + 1)[::-1]
    # the naive count: the same class, or one as good up to the tolerance
    size = max(abs(float(value)) for value in stored.flat) or 1
    naive = sum(
        float(a.max()) - float(a[b.argmax()]) <= 1e-3 * size
        for a, b in zip(stored, other, strict=True)
    )
    assert agreement(stored, other).share == pytest.approx(naive / 6)


def test_a_tie_counts_as_the_same_and_what_is_not_finite_as_another() -> None:
    stored = np.array([[1.0, 1.0005, 0], [0, 2, 1], [3, 0, 0]])
    other = np.array([[1.0005, 1.0, 0], [0, 2, 1], [np.nan, 0, 0]])
    found = agreement(stored, other)
    assert found.share == pytest.approx(2 / 3)
    assert found.difference == float("inf")
    assert agreement(stored, np.full((3, 3), np.nan)).share == 0
    with pytest.raises(PrunebenchError, match=r"predicts \(3, 2\), .* are \(3, 3\)"):
        agreement(stored, other[:, :2])


def test_a_file_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    nothing = np.zeros((1, 1, 2, 2), np.uint8)
    with pytest.raises(PrunebenchError, match="does not predict: ModuleNotFoundError"):
        predict_fresh("import no_such_module\n", tmp_path, nothing)
    code = "def predict(images):\n    return images.reshape(len(images), -1) * 1.0\n"
    many = np.arange(1200 * 2, dtype=np.uint8).reshape(1200, 2, 1, 1)
    assert np.array_equal(predict_fresh(code, tmp_path, many), many.reshape(1200, 2))


def test_what_the_exporter_cannot_follow_is_refused(tmp_path: Path) -> None:
    class Dependent(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum().item() > 0 else -x

    deployed = Deployed(Dependent(), torch.tensor([1.0]), torch.tensor([1.0]))
    package = Package(
        deployed, deployed.network, {}, Model(name="seed-cnn"), 1.0, ("a",), (1, 4, 4), {}
    )
    for kind in ("onnx", "torch-export"):
        with pytest.raises(Refused, match=f"^cannot export to {kind}: \\w+: \\w+"):
            format_of(kind).write(package, tmp_path)
    assert not list(tmp_path.iterdir())
