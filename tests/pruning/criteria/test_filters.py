"""Criteria that score channels, against loops, finite differences and explicit gates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunebench
from prunebench.errors import Refused
from prunebench.pruning.criteria.group_norm import group_norm
from prunebench.pruning.criteria.hrank import hrank
from prunebench.pruning.criteria.slimming import network_slimming
from prunebench.pruning.criteria.taylor_fo import taylor_fo
from prunebench.pruning.view import View
from prunebench.training.networks.seed_cnn import SeedCNN


class Residual(nn.Module):
    """A stem and a block that adds to it, so that ``stem`` and ``conv2`` share their channels."""

    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=not norm)
        self.norm0 = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.conv1 = nn.Conv2d(4, 5, 3, padding=1, bias=not norm)
        self.norm1 = nn.BatchNorm2d(5) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(5, 4, 3, padding=1, bias=not norm)
        self.norm2 = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.act0, self.act1, self.act2 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor, inner: Tensor | None = None, stream: Tensor | None = None):
        """``inner`` [5] and ``stream`` [4] are gates on the channels."""
        inner = torch.ones(5).to(x) if inner is None else inner
        stream = torch.ones(4).to(x) if stream is None else stream
        x = self.act0(self.norm0(self.stem(x)) * stream.view(-1, 1, 1))
        y = self.act1(self.norm1(self.conv1(x)) * inner.view(-1, 1, 1))
        y = self.norm2(self.conv2(y)) * stream.view(-1, 1, 1)
        return self.head(self.act2(x + y).mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head


def _drawn(model: nn.Module) -> nn.Module:
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.running_var):
                nn.init.uniform_(value, 0.3, 2.0)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
    return model.eval()


def _batches(*sizes: int, channels: int = 2, side: int = 6) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(1)
    return [
        (torch.randn(n, channels, side, side, generator=draw),
         torch.randint(3, (n,), generator=draw))
        for n in sizes
    ]  # fmt: skip


def _view(model: nn.Module, *sizes: int) -> View:
    return View(model, batches=_batches(*(sizes or (8, 8))))


def _named(view: View) -> dict[frozenset[str], str]:
    """The filters of a group -> its name."""
    return {frozenset(f.parameter for f in group.filters()): group.name for group in view.groups}


STREAM, INNER = frozenset({"stem.weight", "conv2.weight"}), frozenset({"conv1.weight"})


def test_slimming_is_the_scale_of_the_batch_norm():
    model = _drawn(Residual())
    with torch.no_grad():
        model.norm1.weight[2] *= -1
    view = _view(model)
    scores, names = network_slimming(view), _named(view)
    torch.testing.assert_close(scores[names[INNER]], model.norm1.weight.detach().abs())
    both = (model.norm0.weight.abs() + model.norm2.weight.abs()).detach() / 2
    torch.testing.assert_close(scores[names[STREAM]], both)


def test_slimming_removes_the_smallest_scales_of_the_network():
    model = _drawn(Residual())
    with torch.no_grad():
        model.norm1.weight.copy_(torch.tensor([0.9, 0.01, 0.8, 0.02, 0.7]))
    masks = prunebench.prune(model, {"criterion": "network-slimming"}, 0.333, batches=_batches(8))
    assert masks["norm1.weight"].tolist() == [True, False, True, False, True]
    assert masks["norm0.weight"].all()


def test_channels_that_no_batch_norm_scales_stay_whole():
    """The inner channels of squeeze-and-excitation have none."""
    torch.manual_seed(0)
    model = timm.create_model("test_efficientnet", num_classes=3)
    batches = _batches(2, channels=3, side=32)
    scores = network_slimming(View(model, batches=batches))
    masks = prunebench.prune(model, {"criterion": "network-slimming"}, 0.7, batches=batches)
    inner = [n for n in masks if n.endswith("se.conv_reduce.weight")]
    assert inner
    assert not any(name in scores for name in inner)
    assert all(masks[name].flatten(1).any(1).all() for name in inner)


def test_slimming_refuses_without_batch_norm():
    with pytest.raises(Refused, match=r"scales of batch norms, and Residual has none"):
        network_slimming(_view(Residual(norm=False)))


def _gate_gradients(model: nn.Module, loss: Callable, sizes: tuple[int, ...]):
    """The mean over batches of the squared derivative by explicit gates at 1."""
    inner, stream = torch.zeros(5).double(), torch.zeros(4).double()
    for inputs, targets in _batches(*sizes):
        gates = [torch.ones(n, dtype=torch.double, requires_grad=True) for n in (5, 4)]
        value = loss(model(inputs.double(), *gates), targets)
        first, second = torch.autograd.grad(value, gates)
        inner += first**2 / len(sizes)
        stream += second**2 / len(sizes)
    return inner, stream


@pytest.mark.parametrize("norm", [True, False])
def test_taylor_fo_is_the_squared_derivative_by_a_gate(norm: bool):
    """With and without batch norm, on coupled channels, batches of unequal size."""
    model = _drawn(Residual(norm))
    view = _view(model, 8, 5, 3)
    scores, names = taylor_fo(view, batch_norm="eval"), _named(view)
    inner, stream = _gate_gradients(model.double(), functional.cross_entropy, (8, 5, 3))
    torch.testing.assert_close(scores[names[INNER]].double(), inner, rtol=1e-3, atol=1e-9)
    torch.testing.assert_close(scores[names[STREAM]].double(), stream, rtol=1e-3, atol=1e-9)


def test_taylor_fo_sees_the_scale_of_the_batch_norm():
    model = _drawn(Residual())
    with torch.no_grad():
        model.norm1.weight[3] = model.norm1.bias[3] = 0  # this channel is dead
    view = _view(model)
    dead = taylor_fo(view)[_named(view)[INNER]]
    assert dead[3] == 0
    assert dead[[0, 1, 2, 4]].max() > 0


def test_taylor_fo_leaves_frozen_parameters_frozen():
    model = _drawn(Residual()).requires_grad_(False)
    taylor_fo(_view(model))
    assert not any(value.requires_grad for value in model.parameters())


def test_group_norm_counts_every_coupled_slice_by_hand():
    model = _drawn(Residual())
    view = _view(model)
    scores, names = group_norm(view), _named(view)

    def expected(parts: list[Tensor]) -> Tensor:
        sums = torch.tensor(
            [
                sum(float((part.detach()[k] ** 2).sum()) for part in parts)
                for k in range(len(parts[0]))
            ]
        )
        return sums / sums.mean()

    inner = [model.conv1.weight, model.norm1.weight, model.conv2.weight.transpose(0, 1)]
    stream = [
        model.stem.weight, model.norm0.weight, model.conv1.weight.transpose(0, 1),
        model.conv2.weight, model.norm2.weight, model.head.weight.T,
    ]  # fmt: skip
    torch.testing.assert_close(scores[names[INNER]], expected(inner))
    torch.testing.assert_close(scores[names[STREAM]], expected(stream))


@pytest.mark.parametrize("power", [1, 2])
def test_group_norm_agrees_with_torch_pruning(power):
    """Every group of a timm ResNet, in the same order of channels."""
    import torch_pruning

    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3).eval()
    example = torch.randn(2, 3, 32, 32)
    view = View(model, batches=[(example, torch.zeros(2, dtype=torch.long))])
    ours = group_norm(view, power=power)
    graph = torch_pruning.DependencyGraph().build_dependency(model, example)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=power)
    compared = 0
    for name in ours:
        layer = model.get_submodule(name.removesuffix(".weight"))
        every = list(range(len(layer.weight)))
        group = graph.get_pruning_group(layer, torch_pruning.prune_conv_out_channels, every)
        theirs = importance(group)
        torch.testing.assert_close(ours[name], theirs / theirs.mean(), rtol=1e-4, atol=1e-6)
        compared += 1
    assert compared == 11


class Maps(nn.Module):
    """A layer whose feature maps are known: its filters pick single channels of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1, bias=False), nn.ReLU()
        self.head = nn.Linear(3, 3)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3).view(3, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x)).mean((2, 3)))


def test_hrank_is_the_mean_rank_of_known_maps():
    """Ranks 0, 1 and full; the nonlinearity comes before the rank; only the first images count."""
    draw = torch.Generator().manual_seed(0)
    images = torch.zeros(4, 3, 5, 5)
    images[:, 1] = 1.0
    images[:, 2] = torch.rand(4, 5, 5, generator=draw) + torch.eye(5)
    images[0, 0] = -torch.eye(5)  # of full rank, but zero behind the ReLU
    images[3, 0] = torch.eye(5)
    batches = [(images[:2], torch.zeros(2)), (images[2:], torch.zeros(2))]
    view = View(Maps(), batches=batches)
    assert hrank(view)["conv.weight"].tolist() == [5 / 4, 1.0, 5.0]
    assert hrank(view, images=3)["conv.weight"].tolist() == [0.0, 1.0, 5.0]


def test_hrank_against_exact_elimination():
    """Each map's rank by row reduction in rational numbers."""
    from fractions import Fraction

    def rank(rows: list[list[float]]) -> int:
        table, found = [[Fraction(v) for v in row] for row in rows], 0
        for column in range(len(table[0])):
            pivot = next((r for r in range(found, len(table)) if table[r][column]), None)
            if pivot is None:
                continue
            table[found], table[pivot] = table[pivot], table[found]
            for r in range(found + 1, len(table)):
                factor = table[r][column] / table[found][column]
                table[r] = [a - factor * b for a, b in zip(table[r], table[found], strict=True)]
            found += 1
        return found

    draw = torch.Generator().manual_seed(2)
    images = torch.randint(-3, 2, (6, 3, 4, 4), generator=draw).float()
    images[:, 1, 2:] = images[:, 1, :2]
    expected = [sum(rank(image[c].clamp(min=0).tolist()) for image in images) / 6 for c in range(3)]
    scores = hrank(View(Maps(), batches=[(images, torch.zeros(6))]))["conv.weight"]
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_hrank_refuses_where_there_are_no_maps():
    model = timm.create_model("test_vit", num_classes=3, img_size=32)
    with pytest.raises(Refused, match="rank of feature maps"):
        hrank(View(model, batches=_batches(2, channels=3, side=32)))


@pytest.mark.parametrize(
    "criterion", ["fpgm", "taylor-fo", "group-norm", "network-slimming", "hrank"]
)
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "seed-cnn"])
def test_every_criterion_prunes_or_says_why(criterion: str, name: str):
    torch.manual_seed(0)
    model = SeedCNN(3, 3, 32) if name == "seed-cnn" else timm.create_model(name, num_classes=3)
    batches = _batches(4, channels=3, side=32)
    method = {"criterion": criterion, "allocation": "uniform"}
    if criterion == "network-slimming" and name in ("test_convnext", "seed-cnn"):
        with pytest.raises(Refused, match="batch norms"):
            prunebench.prune(model, method, 0.5, batches=batches)
        return
    masks = prunebench.prune(model, method, 0.5, batches=batches)
    view = View(model, batches=batches)
    kept = sum(int(masks[layer].sum()) for layer in view.layers)
    total = sum(layer.weight.numel() for layer in view.layers.values())
    assert abs(1 - kept / total - 0.5) < 0.02
