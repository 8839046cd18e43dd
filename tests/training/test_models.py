"""Networks: shapes, sizes, seeds, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Model
from prunebench.pruning.layers import prunable_layers
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training.models import create, head_of, zero_branches

sized = NetworkFacts.of_images


def weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_resnet20_is_the_literatures() -> None:
    model = create(Model(name="resnet20"), sized(10, 3, 32), seed=0)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    wide = [m for m in convolutions if m.kernel_size == (3, 3)]
    assert len(wide) == 19  # 6n + 1 with n = 3; the linear layer is the twentieth
    assert [m.out_channels for m in wide] == [16] * 7 + [32] * 6 + [64] * 6
    assert [m.stride[0] for m in wide if m.stride != (1, 1)] == [2, 2]
    # He 2016 count 0.27 M; by hand: 3x3 layers, two 1x1 shortcuts, batch norms, the head
    by_hand = 9 * (3 * 16 + 6 * 16**2 + 16 * 32 + 5 * 32**2 + 32 * 64 + 5 * 64**2)
    by_hand += 16 * 32 + 32 * 64
    by_hand += 2 * (7 * 16 + 7 * 32 + 7 * 64)
    by_hand += 64 * 10 + 10
    assert weights(model) == by_hand == 272_474
    assert not any(isinstance(m, nn.MaxPool2d) for m in model.modules())
    shapes = []
    model.stages[-1].register_forward_hook(lambda m, i, o: shapes.append(tuple(o.shape)))
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert shapes == [(2, 64, 8, 8)]
    assert model.get_classifier() is model.head


def test_resnet56_is_the_literatures() -> None:
    model = create(Model(name="resnet56"), sized(10, 3, 32), seed=0)
    wide = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert [m.out_channels for m in wide] == [16] * 19 + [32] * 18 + [64] * 18  # 6n + 1, n = 9
    by_hand = 9 * (3 * 16 + 18 * 16**2 + 16 * 32 + 17 * 32**2 + 32 * 64 + 17 * 64**2)
    shortcuts = 16 * 32 + 32 * 64
    by_hand += 2 * (19 * 16 + 18 * 32 + 18 * 64) + 64 * 10 + 10
    # He 2016 count 0.85 M with free shortcuts; Fang 2023's network has ours
    assert by_hand == 853_018
    assert weights(model) == by_hand + shortcuts + 2 * (32 + 64) == 855_770
    assert model.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_the_vgg16_of_tanaka() -> None:
    """Its last pooling averages, and a weight's deviation is √(2 / fan-in), the head's too."""
    published = {"average_pool": True, "fan_in": True}
    model = create(Model(name="vgg16-cifar", arguments=published), sized(10, 3, 32), seed=0).eval()
    usual = create(Model(name="vgg16-cifar"), sized(10, 3, 32), seed=0)
    # 13 convolutions without biases, 2 numbers of each channel's norm, the head
    channels = [64, 64, 128, 128, *[256] * 3, *[512] * 6]
    pairs = zip([3, *channels], channels, strict=False)
    by_hand = sum(9 * one * two for one, two in pairs) + 2 * sum(channels) + 512 * 10 + 10
    assert weights(model) == weights(usual) == by_hand == 14_724_042
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers[3:]:  # the narrow ones are few draws
        deviation = math.sqrt(2 / layer.weight[0].numel())
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert model.head.bias.abs().max() == 0
    pools = [sum(isinstance(m, nn.MaxPool2d) for m in net.modules()) for net in (model, usual)]
    assert pools == [4, 5]
    seen: list[torch.Tensor] = []
    model.features.register_forward_hook(lambda m, i, o: seen.append(o))
    logits = model(torch.randn(2, 3, 32, 32))
    assert seen[0].shape == (2, 512, 2, 2)
    wanted = model.head(nn.functional.avg_pool2d(seen[0], 2).flatten(1))
    torch.testing.assert_close(logits, wanted)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 9, 16, 28, 32, 64])
def test_seed_cnn(size: int, channels: int) -> None:
    model = create(Model(name="seed-cnn"), sized(7, channels, size), seed=0)
    assert model(torch.randn(2, channels, size, size)).shape == (2, 7)
    side = size // 4
    by_hand = 9 * channels * 32 + 32 + 9 * 32 * 64 + 64
    by_hand += 64 * side**2 * 120 + 120 + 120 * 84 + 84 + 84 * 7 + 7
    assert weights(model) == by_hand
    with pytest.raises(PrunebenchError, match="at least 4×4"):
        create(Model(name="seed-cnn"), sized(7, channels, 3), seed=0)


def test_images_that_are_not_square() -> None:
    model = create(Model(name="seed-cnn"), sized(7, 3, (13, 22)), seed=0)
    assert model(torch.randn(2, 3, 13, 22)).shape == (2, 7)
    assert model.hidden[0].in_features == 64 * 3 * 5  # 13 and 22 halved twice, rounded down
    wide, tall = (
        create(Model(name="test_vit"), sized(3, 3, size), seed=0) for size in ((32, 64), (64, 32))
    )
    assert wide(torch.randn(2, 3, 32, 64)).shape == tall(torch.randn(2, 3, 64, 32)).shape == (2, 3)
    assert create(Model(name="vgg16-cifar"), sized(3, 3, (32, 40)), seed=0) is not None
    for name, size in (("vgg16-cifar", (31, 64)), ("seed-cnn", (64, 3))):
        with pytest.raises(PrunebenchError, match=f"not {size[0]}×{size[1]}"):
            create(Model(name=name), sized(3, 3, size), seed=0)


@pytest.mark.parametrize("name", ["seed-cnn", "test_vit", "test_resnet"])
def test_two_equal_sides_are_the_square_of_one(name: str) -> None:
    one, two = (create(Model(name=name), sized(3, 3, size), seed=5) for size in (32, (32, 32)))
    assert one.state_dict().keys() == two.state_dict().keys()
    assert all(torch.equal(one.state_dict()[key], value) for key, value in two.state_dict().items())


def test_what_takes_square_images_alone_says_how_to_make_them() -> None:
    only = Model(name="test_vit", arguments={"img_size": 32, "embed_dim": "wide"})
    with pytest.raises(PrunebenchError, match=r"not 32×64: set image_size: of the task$"):
        create(only, sized(3, 3, (32, 64)), seed=0)


OWN_FILE = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, num_classes, in_chans, image_size, units=5):
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        first = nn.Linear(in_chans * height * width, units)
        super().__init__(nn.Flatten(), first, nn.ReLU(), nn.Linear(units, num_classes))


def pooled(in_chans, num_classes):
    head = nn.Linear(in_chans, num_classes)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def nothing(num_classes):
    return None
"""


def test_a_network_of_a_users_file_is_told_of_the_data_what_it_asks_for(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(OWN_FILE)

    def build(name: str, size: int | tuple[int, int] = 8, seed: int = 0, **more: Any) -> nn.Module:
        settings = Model(name="mine", architecture=f"{tmp_path / 'net.py'}:{name}", **more)
        return create(settings, sized(3, 2, size), seed)

    for size in (8, (6, 9)):
        height, width = (size, size) if isinstance(size, int) else size
        net = build("Net", size, arguments={"units": 7})
        assert net(torch.randn(4, 2, height, width)).shape == (4, 3)
        assert weights(net) == 2 * height * width * 7 + 7 + 7 * 3 + 3
    assert build("pooled")(torch.randn(4, 2, 8, 8)).shape == (4, 3)
    one, same, other = (build("Net", seed=seed)[1].weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    for name, more, says in (
        ("nothing", {}, "net.py:nothing gives a NoneType, not a torch.nn.Module"),
        ("Net", {"arguments": {"unit": 7}}, "models: mine: .*unit"),
        ("Net", {"pretrained": True}, "has no pretrained weights"),
    ):
        with pytest.raises(PrunebenchError, match=says):
            build(name, **more)


def test_small_stem_keeps_resolution() -> None:
    def resolution(stem: str) -> int:
        model = create(Model(name="resnet18", stem=stem), sized(10, 3, 32), seed=0)
        seen: list[int] = []
        model.layer1.register_forward_hook(lambda m, i, o: seen.append(o.shape[-1]))
        assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
        return seen[0]

    assert resolution("original") == 8
    assert resolution("small") == 32


@pytest.mark.parametrize(
    ("name", "message"), [("resnet20", "leave it out"), ("test_vit", "patch size")]
)
def test_small_stem_where_there_is_none(name: str, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        create(Model(name=name, stem="small"), sized(10, 3, 32), seed=0)


def test_unknown_models_and_arguments() -> None:
    with pytest.raises(PrunebenchError, match="did you mean 'resnet18'"):
        create(Model(name="resnet18x"), sized(10, 3, 32), seed=0)
    with pytest.raises(PrunebenchError, match="list_models"):
        create(Model(name="qqqqqqqq"), sized(10, 3, 32), seed=0)
    with pytest.raises(PrunebenchError, match="depthh"):
        create(
            Model(name="resnet20", arguments={"depthh": 3}),
            sized(10, 3, 32),
            seed=0,
        )
    with pytest.raises(PrunebenchError, match="no pretrained weights"):
        create(Model(name="resnet20", pretrained=True), sized(10, 3, 32), seed=0)


def test_transformers_are_built_for_the_images() -> None:
    model = create(Model(name="test_vit"), sized(10, 3, 64), seed=0)
    assert model.patch_embed.img_size == (64, 64)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 10)
    own = Model(name="test_vit", arguments={"img_size": 48, "patch_size": 8})
    model = create(own, sized(10, 3, 64), seed=0)
    assert model.patch_embed.img_size == (48, 48)
    assert model.patch_embed.num_patches == 36


@pytest.mark.parametrize("name", ["test_resnet", "test_byobnet", "resnet18"])
def test_residual_branches_do_not_start_at_zero_unless_asked(name: str) -> None:
    assert not zero_branches(create(Model(name=name), sized(10, 3, 32), seed=0))
    asked = Model(name=name, arguments={"zero_init_last": True})
    assert zero_branches(create(asked, sized(10, 3, 32), seed=0))
    wider = create(Model(name="test_resnet"), sized(10, 3, 32), seed=0, width=2)
    assert not zero_branches(wider)


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "resnet20", "seed-cnn"])
def test_networks_that_know_no_zero_start(name: str) -> None:
    assert not zero_branches(create(Model(name=name), sized(10, 3, 32), seed=0))
    if name != "resnet20":  # its blocks are timm's, which would take it
        asked = Model(name=name, arguments={"zero_init_last": True})
        with pytest.raises(PrunebenchError, match="zero_init_last"):
            create(asked, sized(10, 3, 32), seed=0)


@pytest.mark.parametrize("name", ["seed-cnn", "resnet20", "test_resnet", "test_vit"])
def test_the_seed_decides(name: str) -> None:
    before = torch.get_rng_state()
    one, same, other = (create(Model(name=name), sized(10, 3, 16), seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(123)  # and nothing else does
    again = create(Model(name=name), sized(10, 3, 16), seed=5)
    for model in (same, again):
        torch.testing.assert_close(one.state_dict(), model.state_dict(), rtol=0, atol=0)
    first = [parameter for parameter in one.parameters() if parameter.ndim > 1][-1]
    last = [parameter for parameter in other.parameters() if parameter.ndim > 1][-1]
    assert not torch.equal(first, last)


def test_heads() -> None:
    for name in ("seed-cnn", "resnet20", "test_resnet", "test_efficientnet", "test_vit"):
        model = create(Model(name=name), sized(9, 3, 32), seed=0)
        assert [getattr(part, "out_features", None) for part in head_of(model)] == [9]
        layers = prunable_layers(model)
        assert not any(layer.module in head_of(model) for layer in layers.values())
    plain = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.ReLU())
    assert head_of(plain) == [plain[1]]
    assert head_of(nn.ReLU()) == []
    convolutional = create(Model(name="resnetv2_50"), sized(9, 3, 32), seed=0)
    assert [part.out_channels for part in head_of(convolutional)] == [9]


def test_standardized_weights_are_refused() -> None:
    """timm's weight standardization makes zeros into something else on each use."""
    model = create(Model(name="test_nfnet"), sized(9, 3, 32), seed=0)
    with pytest.raises(PrunebenchError, match="zeros in it do not stay"):
        prunable_layers(model)


# --------------------------------------------------------------------------------- width

DRAWN_WITH = "2.15"  # other versions of torch may draw other numbers
# what the first release drew, seed 1, 10 classes: the sum of each weight by its place. No hash: the
# truncated normal of transformers differs in its last bits between kinds of processors
UNWIDENED = {
    "seed-cnn": (1, 8, 44.38227743),
    "resnet20": (3, 32, 5814.222538),
    "vgg16-cifar": (3, 32, 33408.85894),
    "test_resnet": (3, 32, 6627.084698),
    "test_vit": (3, 64, 3296.010382),
    "test_efficientnet": (3, 32, 10212.23254),
    "test_convnext": (3, 32, 2364.35261),
}


@pytest.mark.parametrize("name", UNWIDENED)
def test_a_width_of_one_changes_no_bit(name: str) -> None:
    channels, size, expected = UNWIDENED[name]
    as_drawn = {"zero_init_last": True} if name == "test_resnet" else {}  # timm's own default
    given = Model(name=name, arguments=as_drawn)
    plain = create(given, sized(10, channels, size), 1)
    one = create(given, sized(10, channels, size), 1, width=1.0)
    torch.testing.assert_close(plain.state_dict(), one.state_dict(), rtol=0, atol=0)
    if torch.__version__.startswith(DRAWN_WITH):
        drawn = [
            (value.double().flatten() * (1 + torch.arange(value.numel()) % 7)).sum().item()
            for value in one.state_dict().values()
        ]
        assert sum(drawn) == pytest.approx(expected, rel=1e-6)


# narrow ones where the usual width costs seconds; fbnetv3_b is timm's smallest of its class
NARROW = {
    "vgg16-cifar": {"widths": [16, 16, 32, 32, 32]}, "resnet18": {"channels": [16, 32, 48, 64]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in (*UNWIDENED, "resnet18") for width in (0.5, 1.5, 2)]
    + [("fbnetv3_b", 0.5)],
)
def test_weights_grow_with_about_the_square_of_the_width(name: str, width: float) -> None:
    given = Model(name=name, arguments=NARROW.get(name, {}))
    plain = create(given, sized(10, 3, 64), seed=0)
    wider = create(given, sized(10, 3, 64), seed=0, width=width)
    assert type(wider) is type(plain)
    assert wider.eval()(torch.randn(2, 3, 64, 64)).shape == (2, 10)
    # biases, norms, depthwise convolutions and the first layer grow more slowly, and
    # timm rounds the channels of EfficientNets to multiples of 8
    grown = math.log(weights(wider) / weights(plain), width)
    assert 1.4 < grown < 2.1
    depth = [sum(isinstance(m, nn.Linear) for m in net.modules()) for net in (plain, wider)]
    assert depth[0] == depth[1]


@pytest.mark.parametrize("name", ["seed-cnn", "resnet20", "test_resnet", "test_vit"])
def test_the_seed_decides_at_any_width(name: str) -> None:
    one, again = (create(Model(name=name), sized(10, 3, 64), seed=0, width=1.5) for _ in range(2))
    torch.testing.assert_close(one.state_dict(), again.state_dict(), rtol=0, atol=0)


def test_what_is_widened_by_hand() -> None:
    seed_cnn = create(Model(name="seed-cnn"), sized(10, 1, 8), 0, width=0.5)
    found = [m.weight.shape[0] for m in seed_cnn.modules() if hasattr(m, "weight")]
    assert found == [16, 32, 60, 42, 10]
    resnet20 = create(
        Model(name="resnet20", arguments={"blocks": 1}),
        sized(10, 3, 32),
        0,
        width=4,
    )
    assert [m.out_channels for m in resnet20.modules() if isinstance(m, nn.Conv2d)] == [
        64, 64, 64, 128, 128, 128, 256, 256, 256,
    ]  # fmt: skip
    vgg = create(Model(name="vgg16-cifar"), sized(10, 3, 32), 0, width=0.25)
    assert [m.out_channels for m in vgg.modules() if isinstance(m, nn.Conv2d)] == [
        16, 16, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128,
    ]  # fmt: skip
    resnet18 = create(Model(name="resnet18", stem="small"), sized(10, 3, 32), 0, width=0.5)
    assert [info["num_chs"] for info in resnet18.feature_info] == [64, 32, 64, 128, 256]
    assert resnet18.conv1.kernel_size == (3, 3)
    convnext = create(Model(name="test_convnext"), sized(10, 3, 32), 0, width=2)
    assert [info["num_chs"] for info in convnext.feature_info] == [48, 64, 96, 128]
    vit = create(Model(name="test_vit"), sized(10, 3, 64), 0, width=1.5)
    assert (vit.embed_dim, vit.blocks[0].attn.num_heads) == (96, 3)
    assert vit.blocks[0].attn.head_dim == 32
    assert weights(create(Model(name="seed-cnn"), sized(10, 1, 8), 0, width=1e-9)) == (
        # one of everything
        (9 + 1) + (9 + 1) + (4 + 1) + (1 + 1) + (10 + 10)
    )


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("test_mambaout", 2, "a MambaOut cannot be widened; these can: .*ConvNeXt, .*SeedCNN"),
        ("efficientnet_b0", 2, "width 2: its constructor refuses .*channel_multiplier"),
        ("test_vit3", 0.5, "width 0.5: 3 heads times 0.5 is no whole number of heads"),
        ("resnet20", 1.01, "width 1.01: rounds to the channels that it has without"),
        ("resnet50_gn", 1.1, "its constructor refuses .*must be divisible by num_groups"),
    ],
)
def test_a_width_that_cannot_be_is_refused(name: str, width: float, message: str) -> None:
    with pytest.raises(PrunebenchError, match=f"models: {name}: .*{message}"):
        create(Model(name=name), sized(10, 3, 64), 0, width=width)


def test_pretrained_weights_are_not_widened() -> None:
    with pytest.raises(PrunebenchError, match="loaded weights have only the width"):
        create(
            Model(name="test_resnet", pretrained=True),
            sized(10, 3, 32),
            0,
            width=2,
        )


def _files(folder: Path) -> Iterator[tuple[Model, Path]]:
    """Networks whose weights come from a file, and the file."""
    file = folder / "mine.safetensors"
    save_file(
        create(Model(name="test_resnet"), sized(10, 3, 32), seed=7).state_dict(),
        file,
    )
    pretrained = {"pretrained_cfg_overlay": {"file": str(file)}}
    yield Model(name="test_resnet", arguments={"checkpoint_path": str(file)}), file
    yield Model(name="test_resnet", pretrained=True, arguments=pretrained), file


def test_weights_of_a_file_are_loaded_and_can_be_drawn_instead(tmp_path: Path) -> None:
    for settings, file in _files(tmp_path):
        assert settings.loads
        loaded = create(settings, sized(10, 3, 32), seed=0).state_dict()
        torch.testing.assert_close(loaded["conv1.0.weight"], load_file(file)["conv1.0.weight"])
        plain = Model(name="test_resnet")
        assert not plain.loads
        drawn, expected = (create(m, sized(10, 3, 32), seed=0) for m in (settings.drawn(), plain))
        torch.testing.assert_close(drawn.state_dict(), expected.state_dict(), rtol=0, atol=0)
