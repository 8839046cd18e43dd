"""The parts of an export: preprocessing, structure, agreement, and what cannot be exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prunebench.compression.export_formats import Deployed, Package, format_of, load_network
from prunebench.compression.shrink import shrink
from prunebench.compression.shrunk_description import describe, restore
from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Model
from prunebench.storage.files import read_json, write_json
from prunebench.tasks.forms import FORMS
from prunebench.tasks.kinds.language_model import LanguageModel
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.pretrained_tokens import TOKENIZER
from prunebench.tasks.task_data import TaskData
from prunebench.training.models import create
from tests.compression.nets import build, gone, images
from tests.hub import TOKENS, saved
from tests.kinds import classes

PIXELS = FORMS["pixels"]


def test_preprocessing_is_that_of_the_task() -> None:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8, generator=draw)
    splits = dict.fromkeys(("train", "val", "test"), pixels)
    # the last channel never changes
    mean, std = torch.tensor([0.1, 0.5, 0.3]), torch.tensor([0.2, 0.7, 0.0])
    data = TaskData(splits, {}, ("a", "b"), mean, std, "", classes(2), PIXELS)
    deployed = Deployed(torch.nn.Identity(), *data.moments, PIXELS, classes(2))
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
    moments = torch.tensor([90.0, 100, 110]), torch.tensor([60.0] * 3)
    package = Package(
        deployed=Deployed(shrunk.model, *moments, PIXELS, classes(5)),
        dense=build(name, **arguments), masks=masks,
        model=Model(name=name, arguments=arguments), width=1.0,
        classes=("a", "b", "c", "d", "e"), example=torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        facts=NetworkFacts.of_images(5, 3, 32), about={"experiment": "x"},
    )  # fmt: skip
    format_of("safetensors").write(package, tmp_path)
    found = load_network(tmp_path)
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(found(pixels), package.deployed(pixels), rtol=0, atol=0)
    found(pixels).sum().backward()  # it can be trained on
    assert all(value.grad is not None for value in found.network.parameters())
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


@pytest.mark.parametrize("family", ["gpt2", "opt"])
@pytest.mark.parametrize("kind", ["onnx", "torch-export", "safetensors"])
def test_models_of_transformers_are_written(
    family: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another number of sequences than the example's, some padded, gives the model's own logits."""
    pytest.importorskip("transformers")
    own = saved(tmp_path, family)
    known = NetworkFacts(
        {"num_classes": len(TOKENS) + 1, "task_kind": "language-model",
         "vocabulary": len(TOKENS) + 1, "length": 6, TOKENIZER: "x"}
    )  # fmt: skip
    monkeypatch.setattr("prunebench.training.hub_networks._check_tokens", lambda *given: None)
    settings = Model(name="m", architecture=f"hf:{tmp_path}", pretrained=True)
    network = create(settings, known, 0).eval()
    vocabulary = ["", *TOKENS]
    task = LanguageModel({"names": [], "vocabulary": vocabulary})
    nothing = torch.zeros(0)
    tokens = torch.randint(1, len(vocabulary), (5, 6), dtype=torch.int32)
    package = Package(
        Deployed(network, nothing, nothing, FORMS["tokens"], task),
        create(settings.drawn(), known, 0), {}, settings, 1.0, (), tokens[:2], known, {},
    )  # fmt: skip
    format_of(kind).write(package, tmp_path)
    tokens[1, 4:] = 0
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(format_of(kind).loader, found)
    answers = torch.from_numpy(found["predict"](tokens.numpy()))
    with torch.no_grad():
        expected = own(input_ids=(tokens - 1).clamp(min=0), attention_mask=(tokens > 0).int())
    counted = tokens > 0
    torch.testing.assert_close(
        answers[..., 1:][counted], expected.logits[counted], atol=1e-5, rtol=1e-4
    )
    if kind == "safetensors":  # and what is shared still is, to train on
        model = found["network"].network.model
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


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
    with pytest.raises(PrunebenchError, match="cannot describe '1': ReLU in place of Unchanged"):
        describe(dense, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()))


def test_what_the_exporter_cannot_follow_is_refused(tmp_path: Path) -> None:
    class Dependent(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum().item() > 0 else -x

    deployed = Deployed(Dependent(), torch.tensor([1.0]), torch.tensor([1.0]), PIXELS, classes(2))
    package = Package(
        deployed,
        deployed.network,
        {},
        Model(name="seed-cnn"),
        1.0,
        ("a",),
        torch.zeros(2, 1, 4, 4, dtype=torch.uint8),
        NetworkFacts.of_images(2, 1, 4),
        {},
    )
    for kind in ("onnx", "torch-export"):
        with pytest.raises(Refused, match=f"^cannot export to {kind}: \\w+: \\w+"):
            format_of(kind).write(package, tmp_path)
    assert not list(tmp_path.iterdir())
