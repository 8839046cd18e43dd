"""Whole residual blocks: found by trial, removed exactly, scored by what they change."""

from __future__ import annotations

import math

import pytest
import timm
import torch
from torch import Tensor, nn

import prunebench
from prunebench.errors import Refused
from prunebench.pruning import masks as masking
from prunebench.pruning.criteria.block_similarity import block_similarity
from prunebench.pruning.patterns import block
from prunebench.pruning.view import GroupScores, Scores, View
from prunebench.training.networks.seed_cnn import SeedCNN

METHOD = {"criterion": "block-similarity", "pattern": "block"}


def _model(name: str, **arguments: object) -> nn.Module:
    """A timm network whose branches matter: trained scales, shifts and statistics."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=4, **arguments).eval()
    for parameter in model.parameters():
        if parameter.ndim < 2:
            nn.init.uniform_(parameter, 0.3, 1.0)
    for key, buffer in model.named_buffers():
        if key.endswith("running_mean"):
            nn.init.normal_(buffer)
    return model


def _view(model: nn.Module, side: int = 32, **arguments: object) -> View:
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    return View(model, batches=[(images, torch.zeros(3, dtype=torch.long))], **arguments)


def _names(model: nn.Module, side: int = 32) -> list[str]:
    return [item.name for item in _view(model, side).blocks]


@pytest.mark.parametrize(
    ("name", "arguments", "side", "expected"),
    [
        ("test_resnet", {}, 32, ["layer1.0"]),
        ("resnet18", {}, 32, ["layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]),
        ("test_vit", {"img_size": 32}, 32, [f"blocks.{i}" for i in range(6)]),
        ("test_convnext3", {}, 32, [f"stages.{i}.blocks.0" for i in range(4)]),
        ("mobilenetv3_small_050", {}, 32,
         ["blocks.1.1", "blocks.2.1", "blocks.2.2", "blocks.3.0", "blocks.3.1",
          "blocks.4.1", "blocks.4.2"]),
    ],
)  # fmt: skip
def test_blocks_without_a_changing_shortcut_are_found(
    name: str, arguments: dict, side: int, expected: list[str]
):
    assert _names(_model(name, **arguments), side) == expected


def test_every_convnext_block_is_found():
    model = _model("test_convnext")
    kinds = [n for n, m in model.named_modules() if type(m).__name__ == "ConvNeXtBlock"]
    assert _names(model) == kinds


@pytest.mark.parametrize(
    "model",
    [
        SeedCNN(4, 3, 32),
        nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(),
                      nn.Linear(8, 4)),
    ],
    ids=["seed-cnn", "mlp"],
)  # fmt: skip
def test_networks_without_residual_blocks_are_refused(model: nn.Module):
    with pytest.raises(Refused, match="no residual block that could be removed"):
        prunebench.prune(model, METHOD, 0.5, batches=_view(model).batches)


class _Shared(nn.Module):
    """Two blocks; the second shares its weight with a layer outside."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.extra = _Add(), _Add(), nn.Linear(3, 3)
        self.extra.weight = self.second.branch.weight
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.extra(self.second(self.first(x))))


class _Add(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def test_a_block_that_shares_a_weight_with_the_outside_stays():
    model = _Shared()
    view = View(model, batches=[(torch.randn(2, 3), torch.zeros(2))])
    assert [item.name for item in view.blocks] == ["first"]


class _Without(nn.Module):
    """A network whose named blocks are replaced by nothing at all."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        for name in names:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, nn.Identity())
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


@pytest.mark.parametrize(
    ("name", "arguments", "gone"),
    [
        ("resnet18", {}, ["layer1.1", "layer3.1"]),
        ("test_vit", {"img_size": 32}, ["blocks.1", "blocks.4"]),
        ("test_convnext", {}, ["stages.1.blocks.0", "stages.2.blocks.3"]),
        ("mobilenetv3_small_050", {}, ["blocks.1.1", "blocks.3.1", "blocks.4.2"]),
        ("resnetv2_50", {}, ["stages.0.blocks.1", "stages.2.blocks.3"]),
    ],
)
def test_the_masked_network_is_the_one_without_the_blocks(
    name: str, arguments: dict, gone: list[str]
):
    from copy import deepcopy

    model = _model(name, **arguments)
    view = _view(model)
    scores = GroupScores(
        {item.name: torch.tensor(float(item.name not in gone)) for item in view.blocks}
    )
    total = sum(value.numel() for value in view.weights.values())
    sizes = {b.name: sum(view.weights[n].numel() for n in b.weights) for b in view.blocks}
    masks = block(view, scores, _lowest, sum(sizes[n] for n in gone) / total)
    smaller = _Without(deepcopy(model), gone).eval()
    dense = model(view.batches[0][0])
    masking.apply(model, masks)
    with torch.no_grad():
        masked, expected = model(view.batches[0][0]), smaller(view.batches[0][0])
    assert (masked - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (masked - dense).abs().max() > 1e-2 * dense.abs().max()
    removed = sum(int((~masks[n]).sum()) for n in view.layers)
    assert removed == sum(sizes[n] for n in gone)


def _lowest(units: Scores, remove: int, least: int) -> dict[str, Tensor]:
    """The plainest allocation."""
    ((name, value),) = units.items()
    keep = torch.ones(len(value), dtype=torch.bool)
    keep[value.argsort()[:remove]] = False
    return {name: keep}


def test_as_near_to_the_target_as_whole_blocks_allow():
    model = _model("test_vit", img_size=32)
    view = _view(model)
    sizes = [sum(view.weights[n].numel() for n in b.weights) for b in view.blocks]
    total = sum(value.numel() for value in view.weights.values())
    order = block_similarity(view)
    ranked = sorted(range(6), key=lambda i: float(order[view.blocks[i].name]))
    for sparsity in (0.0, 0.05, 0.2, 0.4, 0.5, 0.75):
        removable = [sum(sizes[i] for i in ranked[:n]) / total for n in range(7)]
        best = min(removable, key=lambda share: abs(share - sparsity))
        masks = prunebench.prune(
            _model("test_vit", img_size=32), METHOD, sparsity, batches=view.batches
        )
        assert masking.sparsity(masks, view.layers) == pytest.approx(best)


def test_masks_are_nested_and_earlier_rounds_stay_gone():
    model = _model("test_vit", img_size=32)
    view = _view(model)
    scores = block_similarity(view)
    less, more = (block(view, scores, _lowest, s) for s in (0.3, 0.6))
    assert all(not bool((more[n] & ~mask).any()) for n, mask in less.items())
    flipped = GroupScores({name: -value for name, value in scores.items()})
    again = block(_view(model, within=less), flipped, _lowest, 0.6)
    assert all(not bool((again[n] & ~mask).any()) for n, mask in less.items() if n in again)


def test_what_lies_outside_of_blocks_cannot_be_asked_for():
    model = _model("test_resnet")
    with pytest.raises(
        Refused, match=r"only 0\.\d+ of the prunable weights lie in residual blocks"
    ):
        prunebench.prune(model, METHOD, 0.8, batches=_view(model).batches)


def test_scores_of_weights_are_averaged_over_a_block():
    model = _model("test_vit", img_size=32)
    view = _view(model)
    scores = {name: torch.full_like(value, 2.0) for name, value in view.weights.items()}
    scores |= {name: scores[name] * 0 for name in view.blocks[3].weights}
    masks = block(view, scores, _lowest, 0.15)
    assert not any(masks[name].any() for name in view.blocks[3].weights)
    assert all(masks[name].all() for name in view.blocks[2].weights)


def test_similarity_against_loops():
    """Each position's cosine by sums of products; [B, C, H, W] and [B, N, C]."""
    for name, arguments in (("test_convnext3", {}), ("test_vit", {"img_size": 32})):
        model = _model(name, **arguments)
        view = _view(model)
        scores = block_similarity(view)
        for item in view.blocks[:2]:
            seen: list[Tensor] = []
            handle = item.module.register_forward_hook(
                lambda module, inputs, output, seen=seen: seen.extend([inputs[0], output])
            )
            with torch.no_grad():
                model(view.batches[0][0])
            handle.remove()
            before, after = (x.movedim(1, -1) if x.ndim == 4 else x for x in seen)
            before, after = (x.double().flatten(0, -2).tolist() for x in (before, after))
            changes = [
                1 - sum(a * b for a, b in zip(x, y, strict=True))
                / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))
                for x, y in zip(before, after, strict=True)
            ]  # fmt: skip
            assert float(scores[item.name]) == pytest.approx(sum(changes) / len(changes), rel=1e-4)


def test_a_block_that_does_nothing_has_the_score_zero():
    model = _model("resnet18")
    with torch.no_grad():
        for value in model.layer2[1].parameters():
            value.zero_()
    scores = block_similarity(_view(model))
    assert float(scores["layer2.1"]) == pytest.approx(0, abs=1e-12)
    assert min(float(v) for n, v in scores.items() if n != "layer2.1") > 1e-4
