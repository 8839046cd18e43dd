"""Pruned networks of every kind, shrunk to the size that their masks say, compute the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.constants import Inputs, layer_inputs
from prunebench.compression.shrink import Removed, channel_groups, shrink, verify
from prunebench.errors import PrunebenchError, Refused
from prunebench.pruning.macs import macs
from tests.compression.nets import build, exactly, gone, images, liven, parameters

FILTERS = {"criterion": "l2-norm", "pattern": "filter"}
NETWORKS: dict[str, dict[str, object]] = {
    "test_resnet": {},
    "resnet18": {"channels": [16, 24, 32, 48]},
    "resnet20": {},
    "vgg11": {"mlp_ratio": 0.05},
    "vgg16-cifar": {"widths": [8, 16, 16, 32, 32]},
    "mobilenetv3_small_050": {},
    "test_efficientnet": {},
    "test_convnext": {},
    "test_vit": {"img_size": 32},
    "seed-cnn": {},
}
LARGE = {"vgg11"}


def labelled(inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(inputs, torch.zeros(len(inputs), dtype=torch.long))]


def kept(model: nn.Module, masks: dict[str, Tensor]) -> int:
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    return sum(int(masks[n].sum()) if n in masks else size for n, size in sizes.items())


def check_filters(name: str, arguments: dict[str, object]) -> None:
    """Without half of its filters a network has the weights that the masks keep, no more."""
    model, inputs = build(name, **arguments), images()
    masks = prunebench.prune(model, FILTERS, 0.5, batches=labelled(inputs))
    with torch.no_grad():
        outputs = model(inputs)
    assert (outputs - outputs[:1]).abs().max() > 1e-3 * outputs.abs().max()  # it looks at them
    shrunk = exactly(model, masks, inputs)
    assert parameters(shrunk.model) == kept(model, masks) < 0.6 * parameters(model)
    assert not shrunk.notes
    # what the masks spare is computed no longer: fewer operations than even the masked count
    dense, left = macs(model, inputs[:1], masks)
    assert macs(shrunk.model, inputs[:1], {})[0] <= left < dense


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "vgg11"])
def test_without_half_of_the_filters(name: str) -> None:
    check_filters(name, NETWORKS[name])


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050", "test_vit", "resnet20"])
def test_groups_of_other_weights_give_the_same_network(name: str) -> None:
    """What can go together is of the structure: found once, it serves every network of it."""
    inputs = images(2)
    fresh = build(name, **NETWORKS[name])
    with torch.no_grad():
        for value in fresh.parameters():
            value.normal_(generator=torch.Generator().manual_seed(1))
    known = channel_groups(fresh, inputs[:1])
    for method, sparsity in ((FILTERS, 0.3), (FILTERS, 0.6), ("random", 0.99)):
        model = build(name, **NETWORKS[name])
        masks = prunebench.prune(model, method, sparsity, seed=3, batches=labelled(inputs))
        own = shrink(model.eval(), masks, inputs[:1])
        shared = shrink(model.eval(), masks, inputs[:1], known=known)
        assert (own.removed, own.notes) == (shared.removed, shared.notes)
        assert own.removed
        states = own.model.state_dict(), shared.model.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def check_sparse(name: str, arguments: dict[str, object], sparsity: float) -> None:
    model, inputs = build(name, **arguments), images(2)
    masks = prunebench.prune(model, "random", sparsity, seed=3)
    shrunk = exactly(model, masks, inputs)
    if sparsity == 0.99:
        assert parameters(shrunk.model) < parameters(model)
        assert shrunk.removed


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - LARGE))
@pytest.mark.parametrize("sparsity", [0.9, 0.99])
def test_sparse_weights_leave_dead_units(name: str, sparsity: float) -> None:
    check_sparse(name, NETWORKS[name], sparsity)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE))
def test_sparse_weights_of_large_networks(name: str) -> None:
    check_sparse(name, NETWORKS[name], 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet121", "vgg11", "vgg11_bn", "resnext50_32x4d"])
def test_large_networks(name: str) -> None:
    arguments = {"mlp_ratio": 0.05} if name.startswith("vgg") else {}
    if name != "resnext50_32x4d":  # the filter pattern refuses grouped convolutions
        check_filters(name, arguments)
    check_sparse(name, arguments, 0.99)


@pytest.mark.parametrize(
    ("name", "arguments", "sparsity", "block"),
    [
        ("test_resnet", {}, 0.05, "layer1"),
        ("mobilenetv3_small_050", {}, 0.05, "blocks."),
        ("test_convnext", {}, 0.05, "stages."),
        ("test_vit", {"img_size": 32}, 0.3, "blocks."),
        ("resnet20", {}, 0.3, "stages."),
    ],
)
def test_whole_blocks_become_their_shortcut(
    name: str, arguments: dict[str, object], sparsity: float, block: str
) -> None:
    model, inputs = build(name, **arguments), images()
    masks = prunebench.prune(
        model, {"criterion": "random", "pattern": "block"}, sparsity, batches=labelled(inputs)
    )
    shrunk = exactly(model, masks, inputs)
    assert parameters(shrunk.model) == kept(model, masks) < parameters(model)
    assert not shrunk.notes
    for item in shrunk.removed:
        assert (item.unit, item.before, item.after) == ("block", 1, 0)
        assert item.name.startswith(block)
        assert isinstance(shrunk.model.get_submodule(item.name), nn.Identity)


def test_heads_of_attention() -> None:
    """Head 1 of 4 of one block goes: rows of query, key and value, and what reads them."""
    model = build("test_vit", img_size=32, num_heads=4, depth=2)
    width = model.blocks[0].attn.qkv.in_features
    size = width // 4
    masks = {}
    for name, dim in (("qkv.weight", 0), ("qkv.bias", 0), ("proj.weight", 1)):
        value = model.get_parameter(f"blocks.0.attn.{name}")
        mask = torch.ones(value.shape, dtype=torch.bool)
        heads = mask.movedim(dim, 0).view(-1, 4, size, *mask.movedim(dim, 0).shape[1:])
        heads[:, 1] = False
        masks[f"blocks.0.attn.{name}"] = mask
    shrunk = exactly(model, masks, images())
    attention = shrunk.model.blocks[0].attn
    assert (attention.num_heads, attention.head_dim, attention.attn_dim) == (3, size, 3 * size)
    assert attention.scale == model.blocks[0].attn.scale
    assert attention.qkv.weight.shape == (9 * size, width)
    assert attention.proj.weight.shape == (width, 3 * size)
    assert Removed("blocks.0.attn", "heads", 4, 3) in shrunk.removed
    assert shrunk.model.blocks[1].attn.num_heads == 4


def test_a_head_whose_values_are_all_the_same_goes() -> None:
    """Attention averages values: where every token has the same, its weights do not matter."""
    model = build("test_vit", img_size=32, num_heads=4, depth=2)
    width = model.blocks[0].attn.qkv.in_features
    rows = range(2 * width, 2 * width + width // 4)  # the values of head 0; their bias stays
    mask = torch.ones(3 * width, width, dtype=torch.bool)
    mask[list(rows)] = False
    shrunk = exactly(model, {"blocks.0.attn.qkv.weight": mask}, images())
    assert shrunk.model.blocks[0].attn.num_heads == 3


def test_operations_of_shrunk_attention_by_hand() -> None:
    model = build(
        "test_vit", img_size=32, num_heads=4, depth=1, class_token=False, global_pool="avg"
    )
    inputs = images()
    masks = prunebench.prune(model, FILTERS, 0.4, batches=labelled(inputs))
    small = shrink(model, masks, inputs[:1]).model
    block, tokens = small.blocks[0], small.patch_embed.num_patches
    width = block.attn.qkv.in_features
    inner = block.attn.num_heads * block.attn.head_dim
    assert inner < width
    patch = tokens * 3 * (32 // small.patch_embed.grid_size[0]) ** 2 * width
    attention = tokens * width * 3 * inner + 2 * tokens * tokens * inner + tokens * inner * width
    mlp = 2 * tokens * width * block.mlp.fc1.out_features
    assert macs(small, inputs[:1], {})[0] == patch + attention + mlp + width * 5


def test_operations_of_shrunk_convolutions_by_hand() -> None:
    class Separable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.norm = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)
            self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
            self.conv, self.head = nn.Conv2d(8, 6, 3), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.deep(self.norm(self.up(x)).relu())
            return self.head(self.conv(x).relu().mean((2, 3)))

    model, inputs = liven(Separable()), images(size=10)
    masks = gone(model, "deep", 1, 5, 6) | gone(model, "conv", 2)
    masks |= {"conv.bias": masks["conv.weight"].flatten(1).any(1)}
    small = exactly(model, masks, inputs).model
    # 10×10 positions, 8×8 behind the convolution without padding; 8 − 3 and 6 − 1 channels
    expected = 100 * 3 * 5 + 100 * 9 * 5 + 64 * 9 * 5 * 5 + 5 * 5
    assert macs(small, inputs[:1], {})[0] == expected
    assert small.deep.groups == small.deep.in_channels == small.deep.out_channels == 5


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.float32, torch.bfloat16])
def test_masks_of_any_type(kind: torch.dtype) -> None:
    """As others hold them, and as the suite's own ``masks.safetensors`` does."""
    model, inputs = build("test_resnet"), images(2)
    masks = gone(model, "layer2.0.conv1", 0, 3)
    expected = shrink(model, masks, inputs[:1])
    found = shrink(model, {name: mask.to(kind) for name, mask in masks.items()}, inputs[:1])
    assert found.removed == expected.removed != ()
    torch.testing.assert_close(found.model.state_dict(), expected.model.state_dict())
    arrays = {name: mask.numpy() for name, mask in masks.items()}
    assert shrink(model, arrays, inputs[:1]).removed == expected.removed
    with pytest.raises(PrunebenchError, match=r"example must be a tensor .* found a ndarray"):
        shrink(model, masks, inputs[:1].numpy())
    halves = {name: mask.float() / 2 for name, mask in masks.items()}
    with pytest.raises(PrunebenchError, match="must hold 0 and 1"):
        shrink(model, halves, inputs[:1])


class Words(nn.Module):
    """A classifier of texts: embeddings, their mean, a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.hidden, self.fc = nn.Embedding(50, 16), nn.Linear(16, 32), nn.Linear(32, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc(self.hidden(self.words(tokens).mean(1)).relu())


def test_networks_that_read_tokens() -> None:
    model, tokens = Words().eval(), torch.randint(0, 50, (8, 9))
    masks = prunebench.prune(model, FILTERS, 0.3, example=tokens)
    gone = int((~masks["hidden.weight"].any(1)).sum())
    found = shrink(model, masks, tokens[:1])
    assert Removed("hidden", "filters", 32, 32 - gone) in found.removed
    assert verify(model, found.model, tokens) < 1e-5
    single = prunebench.prune(model, "magnitude", 0.5)
    assert verify(model, shrink(model, single, tokens[:1]).model, tokens) < 1e-5


def test_a_smaller_network_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever went wrong on the way: here a constant that is none."""
    from prunebench.compression import shrink as module

    def wrong(model: nn.Module, example: Tensor) -> dict[nn.Module, Inputs]:
        found = layer_inputs(model, example)
        for seen in found.values():
            seen.low[:1] = seen.high[:1] = 0.0
        return found

    monkeypatch.setattr(module, "layer_inputs", wrong)
    with pytest.raises(Refused, match=r"cannot shrink: .* differs by .*; the masks still hold"):
        shrink(build("test_resnet"), {}, images(1))
