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
from safetensors.torch import load_file, save_file

from prunebench import cli
from prunebench.compression.export_formats import format_of
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.runner import pipeline
from prunebench.runner.export_cell import Export, _refuse_taken, export_cell
from prunebench.storage.coordinates import coordinates_of_folder
from prunebench.storage.files import read_json, read_sealed, sha256_file, write_json, write_sealed
from prunebench.storage.layout import PREDICTIONS, RECORD, WEIGHTS

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

    def export(self, folder: Path, kind: str = "onnx", target: Path | None = None) -> Export:
        root, place = coordinates_of_folder(folder)
        plan = Plan(self.plan.experiment, root.parent)
        data = prepared(plan.experiment.tasks[0], self.data)
        return export_cell(plan.cell_at(place), kind, target, data)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("grid")
    plan, data = Plan(config.parse(GRID), folder / "results"), folder / "data"
    deterministic = torch.are_deterministic_algorithms_enabled()
    path = pipeline.run(plan, data)
    yield Ran(plan, data, pd.read_csv(path))
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def taken(ran: Ran) -> Export:
    return ran.export(ran.folder("l1-filter"))


def changed(ran: Ran, tmp_path: Path, method: str = "l1-filter") -> Path:
    """A copy of the experiment, to be spoilt; the folder of a cell of it."""
    shutil.copytree(ran.plan.layout.root, tmp_path / "tiny")
    return tmp_path / "tiny" / ran.folder(method).relative_to(ran.plan.layout.root)


def test_images_that_are_not_square_go_all_the_way(tmp_path: Path) -> None:
    """Bright to the left or to the right, from preparation to the exported file."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 99, (90, 8, 14, 1), dtype=np.uint8)
    labels = np.arange(90) % 2
    for image, label in zip(images, labels, strict=True):
        image[:, 7 * label : 7 * label + 7] += 150
    np.savez(tmp_path / "wide.npz", train_images=images, train_labels=labels)
    task = {"name": "wide", "source": "medmnist", "path": str(tmp_path / "wide.npz")}
    grid = {**GRID, "tasks": [{**task, "val": 20, "test": 30}], "methods": ["l1-filter"]}
    plan, data = Plan(config.parse(grid), tmp_path / "results"), tmp_path / "data"
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        assert set(pd.read_csv(pipeline.run(plan, data))["status"]) == {"ok"}
        [cell] = plan.curve(plan.baselines[0], plan.experiment.methods[0])
        for kind in ("onnx", "safetensors"):
            taken = export_cell(cell, kind, None, prepared(plan.experiment.tasks[0], data))
            assert taken.agreement.share == 1
    finally:
        torch.use_deterministic_algorithms(deterministic)


# ------------------------------------------------------------------------- a cell


def test_the_file_predicts_what_the_cell_did(ran: Ran, taken: Export) -> None:
    assert taken.folder == ran.plan.layout.root.joinpath(
        "export", "digits", "noisy", "seed-cnn", "seed-0", "l1-filter", "0.5", "onnx"
    )
    assert (taken.kind, taken.agreement.samples, taken.agreement.share) == ("shrunk", 80, 1.0)
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
        found = session.run(None, {"inputs": test[:batch]})[0]
        np.testing.assert_allclose(found, stored[:batch], rtol=1e-4, atol=1e-4)


def test_the_file_says_where_it_is_from(ran: Ran, taken: Export) -> None:
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


def test_the_card_says_what_the_table_says(ran: Ran, taken: Export) -> None:
    text = (taken.folder / "README.md").read_text()
    assert "- **classifier**: head.weight\n" in text
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
    assert table["MACs an input, dense kernels"][1] == f"{dense['macs_dense']:,}"
    assert f"{row['sparsity_achieved']:.2%} of its prunable weights" in body
    for word in ("l1-norm", "fine-tuning", row["identity"], "label noise**: 0.1", "import onnxr"):
        assert word in body, word
    sections = [line.removeprefix("## ") for line in body.splitlines() if line.startswith("## ")]
    assert sections[:4] == [
        "Model Details", "Uses", "Bias, Risks, and Limitations",
        "How to Get Started with the Model",
    ]  # fmt: skip
    assert "None" not in body


def test_the_code_of_the_card_is_the_code_that_was_run(taken: Export) -> None:
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
        coordinates_of_folder(ran.plan.layout.root)
    with pytest.raises(PrunebenchError, match=r"has no 'l1-filtr'; did you mean 'l1-filter'\?"):
        coordinates_of_folder(folder.parents[1] / "l1-filtr" / "0.5")
    with pytest.raises(PrunebenchError, match=r"no such cell: .* has no '0\.7'"):
        coordinates_of_folder(folder.with_name("0.7"))
    with pytest.raises(PrunebenchError, match="no format 'onx'; did you mean 'onnx'"):
        ran.export(folder, "onx")


def test_a_cell_without_a_network_has_nothing_to_export(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    record = read_sealed(folder / RECORD)
    for status in ("failed", "diverged"):
        write_sealed(folder / RECORD, {**record, "status": status, "message": "the reason"})
        with pytest.raises(PrunebenchError, match=rf"{status}: the reason; it has nothing to"):
            ran.export(folder)
    (folder / RECORD).unlink()
    with pytest.raises(PrunebenchError, match="the cell is not finished"):
        coordinates_of_folder(folder)


def test_damaged_weights_are_found_before_anything_is_built(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(PrunebenchError, match=r"weights\.safetensors is missing or damaged"):
        ran.export(folder)


def test_other_data_and_another_configuration_are_refused(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    record = read_sealed(folder / RECORD)
    write_sealed(folder / RECORD, {**record, "data_hash": "0" * 64})
    with pytest.raises(PrunebenchError, match="was computed on other data"):
        ran.export(folder)
    other = Ran(Plan(config.parse({**GRID, "methods": ["imp"]}), tmp_path), ran.data, ran.cells)
    with pytest.raises(PrunebenchError, match="it is of an earlier configuration"):
        other.export(folder)


def test_a_file_that_predicts_otherwise_is_not_written(ran: Ran, tmp_path: Path) -> None:
    folder = changed(ran, tmp_path)
    stored = load_file(folder / PREDICTIONS)
    stored["test"][0] = -stored["test"][0]  # one image of 80: 98.75 %
    save_file(stored, folder / PREDICTIONS)
    record = read_sealed(folder / RECORD)
    record["files"][PREDICTIONS] = sha256_file(folder / PREDICTIONS)
    write_sealed(folder / RECORD, record)
    with pytest.raises(PrunebenchError, match=r"98\.75% of 80 test inputs, less than 99\.9%"):
        ran.export(folder, target=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_what_lies_in_the_folder_already_is_not_written_over(ran: Ran, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("the user's own")
    with pytest.raises(PrunebenchError, match=r"is not empty \(README\.md\): name a new folder"):
        ran.export(ran.folder("l1-filter"), target=out)
    for shared in (True, False):
        with pytest.raises(PrunebenchError, match="is not empty"):
            _refuse_taken(out, {"README.md", "export.json"}, shared, again=True)
    assert [path.read_text() for path in out.iterdir()] == ["the user's own"]
    _refuse_taken(out, {"model.onnx"}, shared=True, again=False)
    (out / "export.json").write_text("{}")  # of an earlier export
    _refuse_taken(out, {"README.md"}, shared=True, again=False)
    with pytest.raises(PrunebenchError, match="is not empty"):
        _refuse_taken(out, {"README.md"}, shared=False, again=False)


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
