"""Filters by their activations first, then single weights of what is left."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import prunebench
from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment import config
from prunebench.pruning import compose
from prunebench.pruning.criteria.apoz import apoz
from prunebench.pruning.view import View
from prunebench.training.networks.seed_cnn import SeedCNN

METHOD = {
    "criterion": "magnitude",
    "first": {"criterion": "apoz", "allocation": "uniform", "share": 0.5},
}
BATCHES = [
    (torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
     torch.arange(8) % 4)
]  # fmt: skip


def _model(name: str = "test_resnet") -> nn.Module:
    torch.manual_seed(0)
    if name == "seed-cnn":
        return SeedCNN(4, 3, 32)
    return timm.create_model(name, num_classes=4, **({"img_size": 32} if "vit" in name else {}))


@pytest.mark.parametrize("name", ["test_resnet", "seed-cnn", "test_vit", "test_convnext"])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.7])
def test_the_total_is_exact_to_one_weight(name: str, sparsity: float):
    model = _model(name)
    masks = prunebench.prune(model, METHOD, sparsity, batches=BATCHES)
    names = list(View(model).layers)
    total = sum(masks[n].numel() for n in names)
    assert sum(int((~masks[n]).sum()) for n in names) == round(sparsity * total)


def test_filters_go_first_and_the_smallest_weights_of_the_rest_follow():
    """By brute force: the filters of the first part alone, then a sort of all weights left."""
    model = _model()
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    names = list(View(model).layers)
    alone = {"criterion": "apoz", "allocation": "uniform"}
    first = prunebench.prune(_model(), alone, 1 - 0.2**0.5, batches=BATCHES)
    masks = prunebench.prune(model, METHOD, 0.8, batches=BATCHES)

    left = torch.cat([weights[n][first[n]].abs() for n in names])
    total = sum(weights[n].numel() for n in names)
    threshold = left.sort(descending=True).values[total - round(0.8 * total) - 1]
    for n in names:
        assert torch.equal(masks[n], first[n] & (weights[n].abs() >= threshold))
    # biases and norms of the filters that went are gone too, in the network itself
    others = [n for n in first if n not in names]
    assert others
    parameters = dict(model.named_parameters())
    for n in others:
        assert torch.equal(masks[n], first[n])
        assert not parameters[n][~masks[n]].any()


def test_share_zero_is_the_main_part_alone():
    none = {**METHOD, "first": {**METHOD["first"], "share": 0.0}}
    found = prunebench.prune(_model(), none, 0.7, batches=BATCHES)
    expected = prunebench.prune(_model(), "magnitude", 0.7)
    for name, mask in expected.items():
        assert torch.equal(found[name], mask)


def test_earlier_rounds_stay_gone():
    model, method = _model(), config.method({"name": "hybrid", **METHOD})
    view = View(model, batches=BATCHES)
    scores = compose.score(method, view).scores
    less = compose.masks_at(method, view, scores, 0.5)
    later = View(model, batches=BATCHES, within=less)
    more = compose.masks_at(method, later, scores, 0.8)
    for name, mask in less.items():
        assert not bool((more[name] & ~mask).any())
    removed = sum(int((~more[n]).sum()) for n in view.layers)
    assert removed == round(0.8 * sum(v.numel() for v in view.weights.values()))


def test_the_first_part_is_scored_once_for_all_sparsities(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def counted(view: View):
        calls.append(1)
        return apoz(view)

    monkeypatch.setattr("prunebench.pruning.criteria.apoz.apoz", counted)
    method = config.method({"name": "hybrid", **METHOD})
    view = View(_model(), batches=BATCHES)
    scores = compose.score(method, view).scores
    for sparsity in (0.3, 0.6, 0.9):
        compose.masks_at(method, view, scores, sparsity)
    assert len(calls) == 1


def test_a_first_part_that_removes_too_much_is_refused():
    """One hidden unit is more than half of what is asked for, and rounds up to more than all."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    method = {"criterion": "magnitude", "first": {"criterion": "l1-norm", "share": 0.99}}
    batches = [(torch.randn(2, 4), torch.zeros(2, dtype=torch.long))]
    with pytest.raises(Refused, match="gone already"):
        prunebench.prune(model, method, 0.25, batches=batches)


def test_filters_that_cannot_take_their_share_are_refused():
    """Of a transformer only the hidden units of its MLPs have activations."""
    with pytest.raises(Refused, match="belong to filters that can go"):
        prunebench.prune(_model("test_vit"), METHOD, 0.9, batches=BATCHES)


def test_settings_name_the_first_part_only_where_there_is_one():
    plain = config.method("magnitude")
    assert "first" not in plain.settings()
    hybrid = config.method({"name": "mine", **METHOD})
    assert hybrid.family == "hybrid"
    assert hybrid.settings()["first"]["share"] == 0.5
    assert hybrid.first is not None
    assert hybrid.first.pattern.name == "filter"
    assert {"apoz.py", "magnitude.py"} <= {path.name for path in hybrid.sources()}
    # a resolved configuration can be read again
    assert config.method(hybrid.model_dump()).settings() == hybrid.settings()


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("apoz", "first must be a mapping with a criterion"),
        ({"share": 0.5}, "first must be a mapping with a criterion"),
        ({"criterion": "apozz"}, "did you mean 'apoz'"),
        ({"criterion": "apoz", "pattern": "weight"}, "goes with pattern 'filter'"),
        ({"criterion": "apoz", "share": 1.0}, "less than 1"),
        ({"criterion": "apoz", "shares": 0.5}, "unknown key; did you mean 'share'"),
    ],
)
def test_faults_are_explained(first: object, message: str):
    with pytest.raises(PrunebenchError, match=message):
        config.method({"name": "mine", "criterion": "magnitude", "first": first})
