"""Coupled channels of timm's families: a masked network computes what the smaller one does.

Convolutional networks are made smaller by torch-pruning, transformers and ConvNeXt by hand.
"""

from __future__ import annotations

import warnings
from copy import deepcopy

import pytest
import timm
import torch
from torch import Tensor, nn

import prunebench
from prunebench.errors import Refused
from prunebench.pruning.groups import Group
from prunebench.pruning.view import View


def _model(name: str, **arguments: object) -> nn.Module:
    """A network with scales, shifts and statistics as training leaves them: none at 0 or 1."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **arguments).eval()
    for key, parameter in model.named_parameters():
        if parameter.ndim < 2:
            nn.init.uniform_(parameter, 0.3, 1.2)
        elif "pos_embed" not in key:
            nn.init.kaiming_normal_(parameter)
    for key, buffer in model.named_buffers():
        if key.endswith("running_mean"):
            nn.init.normal_(buffer)
        if key.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2.0)
    return model


def _images(side: int, seed: int = 1) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def _pruned(model: nn.Module, side: int, sparsity: float) -> tuple[nn.Module, dict[str, Tensor]]:
    masked = deepcopy(model)
    batches = [(_images(side), torch.zeros(2, dtype=torch.long))]
    method = {"criterion": "random", "pattern": "filter"}
    return masked, prunebench.prune(masked, method, sparsity, batches=batches)


def _removed(group: Group, masks: dict[str, Tensor]) -> list[int]:
    """The units whose filters are gone."""
    item = group.filters()[0]
    gone = ~masks[item.parameter].flatten(1).any(1)
    return sorted(set(item.unit[gone].tolist()))


def _agree(masked: nn.Module, smaller: nn.Module, dense: nn.Module, side: int) -> None:
    images = _images(side, seed=2)
    with torch.no_grad():
        one, two, whole = masked(images), smaller(images), dense(images)
    assert (one - two).abs().max() <= 1e-4 * two.abs().max()
    assert (one - whole).abs().max() > 1e-2 * whole.abs().max()


@pytest.mark.parametrize(
    ("name", "arguments", "side"),
    [
        ("test_resnet", {}, 32),
        ("test_efficientnet", {}, 32),
        ("mobilenetv3_small_050", {}, 32),
        ("densenet121", {"growth_rate": 8, "block_config": (2, 3, 2)}, 32),
        ("vgg11_bn", {"mlp_ratio": 0.01}, 32),
        ("resnetv2_50", {"layers": (1, 2, 1, 1)}, 32),
    ],
)
def test_a_masked_cnn_is_the_smaller_one_of_torch_pruning(name: str, arguments: dict, side: int):
    import torch_pruning

    model = _model(name, **arguments)
    masked, masks = _pruned(model, side, 0.5)
    smaller = deepcopy(model)
    groups = View(model, batches=[(_images(side), torch.zeros(2))]).groups
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(smaller, _images(side))
        for group in groups:
            layer = smaller.get_submodule(group.name.removesuffix(".weight"))
            pruner = graph.get_pruner_of_module(layer).prune_out_channels
            if gone := _removed(group, masks):
                graph.get_pruning_group(layer, pruner, gone).prune()
    kept = sum(value.numel() for value in smaller.parameters())
    assert kept < 0.7 * sum(value.numel() for value in model.parameters())
    _agree(masked, smaller, model, side)
    # and every weight that is kept is still there
    weights = [n for n in masks if n.endswith("weight") and masks[n].ndim > 1]
    assert sum(int(masks[n].sum()) for n in weights) == sum(
        smaller.get_parameter(n).numel() for n in weights
    )


def _keep(count: int, gone: list[int]) -> Tensor:
    return torch.tensor([u for u in range(count) if u not in gone])


def _cut(layer: nn.Linear, rows: Tensor | None, columns: Tensor | None) -> None:
    weight, bias = layer.weight.detach(), layer.bias.detach()
    if rows is not None:
        weight, bias = weight[rows], bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    layer.out_features, layer.in_features = weight.shape


def _smaller_by_hand(model: nn.Module, groups: list[Group], masks: dict[str, Tensor]) -> nn.Module:
    """MLPs of fewer hidden units, attention of fewer heads."""
    smaller = deepcopy(model)
    for group in groups:
        place, _, own = group.name.removesuffix(".weight").rpartition(".")
        module, kept = smaller.get_submodule(place), _keep(group.size, _removed(group, masks))
        if own == "fc1":
            _cut(module.fc1, kept, None)
            _cut(module.fc2, None, kept)
        else:
            assert own == "qkv"
            size, width = module.head_dim, module.num_heads * module.head_dim
            columns = (kept[:, None] * size + torch.arange(size)).flatten()
            _cut(module.qkv, torch.cat([part * width + columns for part in range(3)]), None)
            _cut(module.proj, None, columns)
            module.num_heads, module.attn_dim = len(kept), len(columns)
    return smaller


@pytest.mark.parametrize(
    ("name", "arguments", "sparsity"),
    [
        ("test_vit", {"img_size": 32, "num_heads": 4}, 0.4),
        ("test_vit", {"img_size": 32, "num_heads": 8, "qk_norm": True, "init_values": 0.1}, 0.4),
        ("test_convnext", {}, 0.4),
    ],
)
def test_a_masked_transformer_is_the_smaller_one(name: str, arguments: dict, sparsity: float):
    model = _model(name, **arguments)
    masked, masks = _pruned(model, 32, sparsity)
    groups = View(model, batches=[(_images(32), torch.zeros(2))]).groups
    smaller = _smaller_by_hand(model, groups, masks)
    assert any(_removed(group, masks) for group in groups if "fc1" in group.name)
    if name == "test_vit":
        assert any(_removed(group, masks) for group in groups if "qkv" in group.name)
    _agree(masked, smaller, model, 32)


def test_heads_and_hidden_units_are_the_units_of_a_vit():
    model = _model("test_vit", img_size=32, num_heads=4)
    groups = View(model, batches=[(_images(32), torch.zeros(2))]).groups
    sizes = {group.name: group.size for group in groups}
    expected = {f"blocks.{i}.attn.qkv.weight": 4 for i in range(6)}
    expected |= {f"blocks.{i}.mlp.fc1.weight": 192 for i in range(6)}
    assert sizes == expected
    head = next(group for group in groups if group.size == 4)
    rows, bias, columns = head.slices
    assert (rows.parameter, rows.dim, bias.dim, columns.dim) == (head.name, 0, 0, 1)
    # the second head of 16: its rows in queries, keys and values, its columns in the projection
    own = [part * 64 + 16 + i for part in range(3) for i in range(16)]
    assert (rows.unit == 1).nonzero().flatten().tolist() == own
    assert (bias.unit == 1).nonzero().flatten().tolist() == own
    assert (columns.unit == 1).nonzero().flatten().tolist() == list(range(16, 32))


def test_at_least_one_head_of_each_layer_stays():
    model = _model("test_vit", img_size=32, num_heads=4)
    _, masks = _pruned(model, 32, 0.6)
    for index in range(6):
        assert masks[f"blocks.{index}.attn.qkv.weight"].any()
        assert masks[f"blocks.{index}.mlp.fc1.weight"].any()


def test_the_residual_stream_under_layer_norm_stays():
    for name in ("test_vit", "test_convnext"):
        arguments = {"img_size": 32} if name == "test_vit" else {}
        model = _model(name, **arguments)
        _, masks = _pruned(model, 32, 0.4)
        norms = [n for n, m in model.named_modules() if isinstance(m, nn.LayerNorm)]
        assert norms
        assert not any(f"{n}.weight" in masks for n in norms)


class _Mixing(nn.Module):
    """Looks like channels to the graph, but a normalization of its own runs across them."""

    def __init__(self, mixes: bool) -> None:
        super().__init__()
        self.first, self.act = nn.Conv2d(3, 8, 1), nn.ReLU()
        self.second, self.third = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 6, 1)
        self.head, self.mixes = nn.Linear(6, 2), mixes

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        if self.mixes:
            x = x / x.square().mean(1, keepdim=True).add(1e-6).sqrt()
        return self.head(self.third(self.act(self.second(x))).mean((2, 3)))


def test_a_trial_finds_channels_that_leak():
    names = []
    for mixes in (False, True):
        model = _Mixing(mixes)
        before = deepcopy(model.state_dict())
        view = View(model, batches=[(_images(8), torch.zeros(2))])
        names.append({group.name for group in view.groups})
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key])  # the trial changes nothing
    assert names[0] == {"first.weight", "second.weight", "third.weight"}
    assert names[1] == {"second.weight", "third.weight"}


def test_a_network_that_only_leaks_is_refused():
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(nn.functional.normalize(self.first(x), dim=1))

    with pytest.raises(Refused, match="no channels that could be removed"):
        _ = View(Normed(), batches=[(torch.randn(2, 4), torch.zeros(2))]).groups
