"""Models of transformers as networks: the same outputs, counted right, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import prunebench
from prunebench.errors import PrunebenchError
from prunebench.evaluation.size import size
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.settings import Model
from prunebench.pruning.layers import sort_layers
from prunebench.storage.cell_files import load_tensors, save_tensors
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.pretrained_tokens import Tokenizer
from prunebench.training.hub_networks import HubNetwork
from prunebench.training.models import create
from tests.hub import TOKENS, save_tokenizer, saved

pytest.importorskip("transformers")
FAMILIES = ("gpt2", "opt", "llama")
LENGTH = 10


def facts(folder: Path | None, kind: str = "language-model", **more: Any) -> NetworkFacts:
    """Facts of a task in the tokens of a model, or in 7 of its own."""
    size = 7 if folder is None else len(TOKENS) + 1
    own = (
        {}
        if folder is None
        else {"tokenizer": Tokenizer(HubName(str(folder))).facts()["tokenizer"]}
    )
    outputs = size if kind == "language-model" else 3
    return NetworkFacts(
        {"num_classes": outputs, "task_kind": kind, "vocabulary": size, "length": LENGTH}
        | own | more
    )  # fmt: skip


def network(folder: Path, known: NetworkFacts, seed: int = 0, **settings: Any) -> HubNetwork:
    found = create(Model(name="m", architecture=f"hf:{folder}", **settings), known, seed).eval()
    assert isinstance(found, HubNetwork)
    return found


def differing(one: nn.Module, other: nn.Module) -> list[str]:
    """Names of the parameters that two networks have different values of."""
    named = one.named_parameters()
    return [name for name, value in named if not torch.equal(value, other.get_parameter(name))]


def tokens(highest: int = len(TOKENS)) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    found = torch.randint(1, highest + 1, (4, LENGTH), generator=draw)
    found[1, 6:] = 0
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_pretrained_outputs_are_the_models_own(family: str, tmp_path: Path) -> None:
    own = saved(tmp_path, family)
    found = network(tmp_path, facts(tmp_path), pretrained=True)
    given = tokens()
    logits = found(given)
    assert logits.shape == (4, LENGTH, len(TOKENS) + 1)
    whole = given[[0, 2, 3]]
    expected = own(input_ids=whole - 1, attention_mask=torch.ones_like(whole)).logits
    torch.testing.assert_close(logits[[0, 2, 3]][..., 1:], expected, atol=1e-5, rtol=1e-4)
    short = own(input_ids=given[1:2, :6] - 1).logits
    torch.testing.assert_close(logits[1:2, :6, 1:], short, atol=1e-5, rtol=1e-4)
    # padding has no probability, so that the perplexity is the model's own
    assert logits.softmax(-1)[..., 0].max() == 0
    again = network(tmp_path, facts(tmp_path), seed=1, pretrained=True)
    assert all(
        torch.equal(a, b) for a, b in zip(found.parameters(), again.parameters(), strict=True)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_networks_have_the_vocabulary_of_the_task(family: str, tmp_path: Path) -> None:
    saved(tmp_path, family)
    one, same, other = (network(tmp_path, facts(None), seed=s) for s in (0, 0, 1))
    assert one(tokens(6)).shape == (4, LENGTH, 7)
    assert torch.equal(one(tokens(6)), same(tokens(6)))
    assert not torch.equal(one(tokens(6)), other(tokens(6)))


def test_linear_layers_of_gpt2_and_its_shared_weight_count_once(tmp_path: Path) -> None:
    own = saved(tmp_path, "gpt2")
    found = network(tmp_path, facts(tmp_path), pretrained=True)
    first = own.transformer.h[0].mlp.c_fc.weight  # [in, out]
    layer = found.get_parameter("model.transformer.h.0.mlp.c_fc.weight")
    assert torch.equal(layer, first.T)
    assert layer.shape == (128, 32)
    layers = sort_layers(found, None, tokens())
    assert layers.classifier == ("model.transformer.wte.weight",)
    assert list(layers.prunable) == [
        "model.transformer.wpe.weight",
        *(f"model.transformer.h.{block}.{name}.weight" for block in (0, 1)
          for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
    ]  # fmt: skip
    counted = size(found, tokens()[:1], {}, list(layers.prunable))
    width, words = 32, len(TOKENS)
    weights = 2 * 12 * width**2
    norms_and_biases = 2 * (4 * width + 9 * width) + 2 * width
    assert counted["params_total"] == weights + norms_and_biases + (words + 64) * width
    attention = 2 * 2 * LENGTH**2 * width  # queries with keys, and what they weigh
    assert counted["macs_dense"] == LENGTH * (weights + words * width) + attention
    masks = {"model.transformer.h.0.mlp.c_fc.weight": torch.zeros(128, 32, dtype=torch.bool)}
    kept = size(found, tokens()[:1], masks, list(layers.prunable))["macs_kept"]
    assert counted["macs_dense"] - kept == LENGTH * 128 * 32


def test_a_shared_weight_is_stored_once_and_stays_shared(tmp_path: Path) -> None:
    saved(tmp_path / "gpt2", "gpt2")
    found = network(tmp_path / "gpt2", facts(None))
    save_tensors(tmp_path / "weights", found.state_dict())
    assert set(found.state_dict()) == {name for name, _ in found.named_parameters()}
    other = copy.deepcopy(network(tmp_path / "gpt2", facts(None), seed=1))
    other.load_state_dict(load_tensors(tmp_path / "weights"))
    assert torch.equal(other(tokens(6)), found(tokens(6)))
    assert other.get_classifier()[0].weight is other.model.get_input_embeddings().weight


@pytest.mark.parametrize("family", ["gpt2", "opt", "llama", "bert"])
def test_classifiers(family: str, tmp_path: Path) -> None:
    saved(tmp_path, family, "AutoModelForSequenceClassification")
    known = facts(None, "classification")
    found = network(tmp_path, known)
    given = tokens(6)
    assert found(given).shape == (4, 3)
    torch.testing.assert_close(found(given)[1:2], found(given[1:2, :6]), atol=1e-5, rtol=1e-4)
    names = {"bert": "model.classifier.weight"}
    assert sort_layers(found, None, given).classifier == (names.get(family, "model.score.weight"),)


def test_the_head_of_a_pretrained_classifier_is_drawn_where_weights_lack_it(tmp_path: Path) -> None:
    saved(tmp_path, "gpt2")
    known = facts(tmp_path, "classification")
    one, other = (network(tmp_path, known, seed=s, pretrained=True) for s in (0, 1))
    differ = [
        n for n, value in one.named_parameters() if not torch.equal(value, other.get_parameter(n))
    ]
    assert differ == ["model.score.weight"]


def naive_wanda(layer: nn.Linear, inputs: torch.Tensor, sparsity: float) -> torch.Tensor:
    """Row by row, the smallest |w| times the norm of its input over all tokens go."""
    rows = inputs.reshape(-1, inputs.shape[-1]).double()
    kept = torch.ones_like(layer.weight, dtype=torch.bool)
    for number, row in enumerate(layer.weight.detach().double()):
        scores = [abs(float(w)) * float((rows[:, j] ** 2).sum()) ** 0.5 for j, w in enumerate(row)]
        order = sorted(range(len(scores)), key=scores.__getitem__)
        kept[number, order[: round(sparsity * len(scores))]] = False
    return kept


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_wanda_by_hand(family: str, tmp_path: Path) -> None:
    saved(tmp_path, family)
    found = network(tmp_path, facts(tmp_path), pretrained=True)
    name = {"gpt2": "model.transformer.h.1.mlp.c_fc", "llama": "model.model.layers.1.mlp.up_proj"}
    layer = found.get_submodule(name[family])
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    given = tokens()
    with torch.no_grad():
        found(given)
    handle.remove()
    expected = naive_wanda(layer, seen[0], 0.5)
    exclude = ["*wpe"] if family == "gpt2" else ["*embed*"]
    masks = prunebench.prune(
        found, "wanda", 0.5, batches=[(given, given)], prunable={"exclude": exclude},
        loss=lambda logits, wanted: functional.cross_entropy(logits.mT, wanted),
    )  # fmt: skip
    assert torch.equal(masks[f"{name[family]}.weight"], expected)


def test_filters_are_units_of_the_mlp_and_what_stays_is_named(tmp_path: Path) -> None:
    saved(tmp_path, "gpt2")
    found = network(tmp_path, facts(None))
    given = tokens(6)
    with pytest.warns(UserWarning, match=r"keep all of their filters: .*h\.0\.attn\.c_attn"):
        masks = prunebench.prune(
            found, "l1-filter", 0.3, example=given, prunable={"exclude": ["*.wpe"]}
        )
    assert masks["model.transformer.h.0.attn.c_attn.weight"].all()
    units = masks["model.transformer.h.0.mlp.c_fc.weight"].all(1)
    assert 0 < (~units).sum() < 128
    assert torch.equal(masks["model.transformer.h.0.mlp.c_proj.weight"].all(0), units)


REFUSED = {
    "has no weights as safetensors": ("gpt2", {"pretrained": True}, "language-model", {}),
    "takes 64 tokens at most": ("gpt2", {}, "language-model", {"length": 65}),
    "not recommendation": ("gpt2", {}, "recommendation", {}),
    "has no setting 'n_layers'; did you mean 'n_layer'": (
        "gpt2", {"arguments": {"n_layers": 1}}, "language-model", {},
    ),
    "has no setting 'trust_remote_code'": (
        "gpt2", {"arguments": {"trust_remote_code": True}}, "language-model", {},
    ),
    "attends to later tokens": ("bert", {}, "language-model", {}),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_refused(said: str, tmp_path: Path) -> None:
    family, settings, kind, more = REFUSED[said]
    saved(tmp_path, family)
    if "safetensors" in said:
        (tmp_path / "model.safetensors").rename(tmp_path / "model.bin")
    with pytest.raises(PrunebenchError, match=said):
        network(tmp_path, facts(tmp_path, kind, **more), **settings)


def test_pretrained_weights_over_other_tokens_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "gpt2")
    with pytest.raises(PrunebenchError, match=r"set tokens: hf:.* of the task"):
        network(tmp_path, facts(None), pretrained=True)


def test_images_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "gpt2")
    with pytest.raises(PrunebenchError, match="needs length, which the inputs"):
        network(tmp_path, NetworkFacts.of_images(10, 3, 32))


def test_weights_of_another_kind_of_model_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "llama", "AutoModelForSequenceClassification")
    save_tokenizer(tmp_path)
    with pytest.raises(PrunebenchError, match=r"needs lm_head\.weight, which its weights do not"):
        network(tmp_path, facts(tmp_path), pretrained=True)


def test_what_the_hub_does_not_give_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PrunebenchError, match=r"hf:no-such/model: AutoConfig cannot load it"):
        create(Model(name="m", architecture="hf:no-such/model"), facts(None), 0)
