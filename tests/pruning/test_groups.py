"""Coupled channels: a masked network must compute what the physically smaller one does."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch_pruning
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.settings import Model, Prunable
from prunebench.pruning.coupling import find_groups
from prunebench.pruning.groups import Group, expand, kept_dims, kept_weights
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.masks import apply
from prunebench.pruning.view import View
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models


class Concat(nn.Module):
    """Dense connections: every layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.one = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
        self.two = nn.Sequential(nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 4, 3, padding=1))
        self.norm, self.head = nn.BatchNorm2d(14), nn.Linear(14, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.one(x)], 1)
        x = torch.cat([x, self.two(x)], 1)
        return self.head(self.norm(x).relu().mean((2, 3)))


class Residual(nn.Module):
    """A stem, a residual block, a head; narrow as asked."""

    def __init__(self, stream: int = 6, inner: int = 8) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, stream, 3, bias=False), nn.BatchNorm2d(stream)
        self.up, self.middle = nn.Conv2d(stream, inner, 3, padding=1), nn.BatchNorm2d(inner)
        self.down = nn.Conv2d(inner, stream, 1)
        self.head = nn.Linear(stream, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = x + self.down(self.middle(self.up(x)).sigmoid())
        return self.head(x.relu().mean((2, 3)))


def timms(name: str, channels: int = 3, size: int = 32) -> nn.Module:
    return models.create(Model(name=name), NetworkFacts.of_images(5, channels, size), seed=0)


@torch.no_grad()
def liven(model: nn.Module) -> nn.Module:
    """Statistics, scales and shifts as of a trained network, in eval mode."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.normal_(0.5, 0.5)
    return model.eval()


def view_of(model: nn.Module, inputs: Tensor, **settings: object) -> View:
    targets = torch.zeros(len(inputs), dtype=torch.long)
    return View(model, batches=[(inputs, targets)], prunable=Prunable(**settings))


def some(groups: list[Group]) -> dict[str, Tensor]:
    """About half of the units of each group, at least one."""
    draw = torch.Generator().manual_seed(2)
    keep = {group.name: torch.rand(group.size, generator=draw) < 0.5 for group in groups}
    for kept in keep.values():
        kept[0] = True
    return keep


def smaller(model: nn.Module, keep: dict[str, Tensor], inputs: Tensor) -> nn.Module:
    """The network without the channels, as torch-pruning cuts it."""
    small = deepcopy(model)
    for name, kept in keep.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch_pruning.DependencyGraph().build_dependency(small, inputs[:2])
        module = small.get_submodule(name.rpartition(".")[0])
        cut = torch_pruning.prune_conv_out_channels
        if isinstance(module, nn.Linear):
            cut = torch_pruning.prune_linear_out_channels
        elif module.groups > 1:
            cut = torch_pruning.prune_depthwise_conv_out_channels
        gone = (~kept).nonzero().flatten().tolist()
        if gone:
            graph.get_pruning_group(module, cut, idxs=gone).prune()
    return small


def relative(one: Tensor, two: Tensor) -> float:
    return float((one - two).abs().max() / two.abs().max())


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "test_resnet": (lambda: timms("test_resnet"), 3),
    "seed-cnn": (lambda: timms("seed-cnn", 1, 16), 1),
    "resnet20": (lambda: timms("resnet20", 3, 16), 3),
    "test_efficientnet": (lambda: timms("test_efficientnet"), 3),
    "test_byobnet": (lambda: timms("test_byobnet"), 3),
    "concat": (Concat, 3),
    "residual": (Residual, 3),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_masked_is_smaller(name: str) -> None:
    build, channels = NETWORKS[name]
    model = liven(build())
    inputs = torch.randn(4, channels, 16 if name == "seed-cnn" else 32, 32 if channels > 1 else 16)
    view = view_of(model, inputs)
    covered = {item.parameter for group in view.groups for item in group.slices}
    assert covered >= set(view.layers)  # every layer of these can lose channels
    keep = some(view.groups)
    dims = kept_dims(view.groups, keep)
    parameters = dict(model.named_parameters())
    masks = expand(dims, parameters)
    small = smaller(model, keep, inputs)
    masked = deepcopy(model)
    apply(masked, masks)
    with torch.no_grad():
        assert relative(masked(inputs), small(inputs)) < 1e-5
        assert relative(masked(inputs), model(inputs)) > 1e-2
    # what is kept is what the smaller network has, tensor by tensor
    sizes = {key: value.numel() for key, value in small.named_parameters()}
    assert {key: int(mask.sum()) for key, mask in masks.items()} == {k: sizes[k] for k in masks}
    assert kept_weights(dims, view.weights) == sum(sizes[key] for key in view.layers)


def test_residual_cut_by_hand() -> None:
    model = liven(Residual())
    inputs = torch.randn(4, 3, 9, 9)
    groups = view_of(model, inputs).groups
    assert sorted(group.size for group in groups) == [6, 8]
    stream, inner = torch.tensor([0, 2, 5]), torch.tensor([1, 2, 6, 7])
    keep = {group.name: torch.zeros(group.size, dtype=torch.bool) for group in groups}
    for kept in keep.values():
        kept[stream if len(kept) == 6 else inner] = True
    small = Residual(3, 4).eval()
    state = model.state_dict()
    for key in state:
        layer = key.partition(".")[0]
        rows = {"stem": stream, "norm": stream, "up": inner, "middle": inner, "down": stream}
        columns = {"up": stream, "down": inner, "head": stream}
        if layer in rows and state[key].ndim:
            state[key] = state[key][rows[layer]]
        if layer in columns and state[key].ndim > 1:
            state[key] = state[key][:, columns[layer]]
    small.load_state_dict(state)
    apply(model, expand(kept_dims(groups, keep), dict(model.named_parameters())))
    with torch.no_grad():
        assert relative(model(inputs), small(inputs)) < 1e-5


def stream_of(groups: list[Group]) -> set[str]:
    return {item.parameter for group in groups for item in group.slices}


@pytest.mark.parametrize(
    ("name", "normed"),
    [
        ("test_vit", "norm"),  # layer norm
        ("test_vit4", "norm"),  # root mean square norm, timm's own
        ("test_convnext", "norm"),  # layer norm over channels first
        ("test_efficientnet_gn", "bn1"),  # group norm of several channels a group
    ],
)
def test_channels_that_pass_norms_stay(name: str, normed: str) -> None:
    model = timms(name)
    view = view_of(model, torch.randn(2, 3, 32, 32))
    touched = stream_of(view.groups)
    assert not [key for key in touched if normed in key]
    assert not [key for key in touched if "pos_embed" in key or "patch_embed" in key]
    assert touched & set(view.layers)
    # and what is left is sound: cutting the readers alone gives the same
    liven(model)
    dims = kept_dims(view.groups, some(view.groups))
    parameters = dict(model.named_parameters())
    whole, readers = deepcopy(model), deepcopy(model)
    apply(whole, expand(dims, parameters))
    apply(readers, expand({k: v for k, v in dims.items() if k[1] == 1}, parameters))
    inputs = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert relative(whole(inputs), readers(inputs)) < 1e-4


def test_transformers_lose_hidden_units() -> None:
    view = view_of(timms("test_vit"), torch.randn(2, 3, 32, 32))
    hidden = {group.name: group.size for group in view.groups if "mlp" in group.name}
    assert hidden == {f"blocks.{i}.mlp.fc1.weight": 192 for i in range(6)}


@pytest.mark.parametrize("name", ["test_resnet", "seed-cnn"])
def test_classes_never_go(name: str) -> None:
    """Not even where the head's own weights may be pruned."""
    inputs = torch.randn(2, 3, 32, 32)
    groups = view_of(timms(name), inputs, head=True).groups
    rows = [i for g in groups for i in g.slices if i.dim == 0 and "fc" in i.parameter]
    rows += [i for g in groups for i in g.slices if i.dim == 0 and "head" in i.parameter]
    assert not rows
    assert {group.name for group in groups} == {g.name for g in view_of(timms(name), inputs).groups}


def test_excluded_layers_stay_with_their_groups() -> None:
    model = Residual()
    groups = view_of(model, torch.randn(2, 3, 9, 9), exclude=["down.*"]).groups
    assert [group.name for group in groups] == ["up.weight"]  # the stream ends in what is excluded


class Opaque(nn.Module):
    """Its outputs do not come from autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) < 3:
            raise RuntimeError("wants three images")
        return self.head(self.conv(x).mean((2, 3)))


def test_refusals() -> None:
    inputs = torch.randn(4, 3, 9, 9)
    with (
        pytest.warns(UserWarning, match=r"classifier, which is guessed .* \(head\)"),
        pytest.raises(Refused, match=r"Opaque cannot be traced.*wants three images"),
    ):
        _ = view_of(Opaque(), inputs).groups
    only = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    with pytest.raises(Refused, match="no channels that could be removed"):
        _ = view_of(only, torch.randn(4, 3)).groups


def test_tracing_leaves_no_trace() -> None:
    model = timms("test_resnet").train()
    model.layer1.eval()
    model.conv1.requires_grad_(False)
    before = deepcopy(model.state_dict())
    generator = torch.get_rng_state()
    _ = view_of(model, torch.randn(4, 3, 32, 32)).groups
    assert model.training
    assert not model.layer1[0].training
    assert not any(parameter.requires_grad for parameter in model.conv1.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert len(generator) == len(torch.get_rng_state())


class Twice(nn.Module):
    """One layer under two names, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.one = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.two, self.head = self.one, nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(self.first(x).relu()).relu())
        return self.head(x.relu().mean((2, 3)))


def test_looking_for_groups_leaves_a_layer_under_two_names_as_it_is() -> None:
    model = Twice()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = find_groups(model, prunable_layers(model, Prunable()), torch.randn(2, 3, 8, 8))
    assert found.groups
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
