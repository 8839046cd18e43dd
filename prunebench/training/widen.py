"""Widen networks by arguments of their constructors, computed from the plain network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import nn

from prunebench.errors import PrunebenchError

Widening = Callable[[Any, float], dict[str, Any]]
WIDENINGS: dict[str, Widening] = {}  # by class: what widens a network like this one


def _widens(*classes: str) -> Callable[[Widening], Widening]:
    """Register a function that returns a constructor's arguments for a factor on the width."""

    def keep(function: Widening) -> Widening:
        WIDENINGS.update(dict.fromkeys(classes, function))
        return function

    return keep


def _scaled(count: int, factor: float) -> int:
    return max(1, round(count * factor))


@_widens("prunebench.training.networks.seed_cnn.SeedCNN")
def _wider_seed_cnn(model: Any, factor: float) -> dict[str, Any]:
    layers = [*model.features, *model.hidden]
    counts = [_scaled(m.weight.shape[0], factor) for m in layers if hasattr(m, "weight")]
    return {"filters": counts[:2], "units": counts[2:]}


@_widens("prunebench.training.networks.cifar_resnet.CifarResNet")
def _wider_cifar_resnet(model: Any, factor: float) -> dict[str, Any]:
    return {"width": _scaled(model.stem[0].out_channels, factor)}


@_widens("prunebench.training.networks.vgg16_cifar.VGG16")
def _wider_vgg16(model: Any, factor: float) -> dict[str, Any]:
    found = [m.out_channels for m in model.features if isinstance(m, nn.Conv2d)]
    starts = [sum(model.CONVOLUTIONS[:stage]) for stage in range(len(model.CONVOLUTIONS))]
    return {"widths": [_scaled(found[start], factor) for start in starts]}


@_widens("timm.models.resnet.ResNet")
def _wider_resnet(model: Any, factor: float) -> dict[str, Any]:
    """Widen timm's ResNet; a plain stem keeps its 64 channels, a deep one is widened."""
    blocks: list[Any] = [getattr(model, f"layer{stage}")[0] for stage in (1, 2, 3, 4)]
    last = [block.conv3 if hasattr(block, "conv3") else block.conv2 for block in blocks]
    pairs = zip(last, blocks, strict=True)
    counts = [_scaled(c.out_channels // b.expansion, factor) for c, b in pairs]
    found: dict[str, Any] = {"channels": counts}
    if isinstance(model.conv1, nn.Sequential):  # its third layer is twice as wide as stem_width
        stem = cast(nn.Conv2d, model.conv1[-1])
        found["stem_width"] = max(4, _scaled(stem.out_channels // 2, factor))
    return found


@_widens("timm.models.convnext.ConvNeXt")
def _wider_convnext(model: Any, factor: float) -> dict[str, Any]:
    return {"dims": [_scaled(stage["num_chs"], factor) for stage in model.feature_info]}


@_widens("timm.models.vision_transformer.VisionTransformer")
def _wider_vit(model: Any, factor: float) -> dict[str, Any]:
    """Add whole heads of the same size: rounding three sizes at once would change the factor."""
    heads = model.blocks[0].attn.num_heads
    wanted = _scaled(heads, factor)
    if abs(wanted - heads * factor) > 1e-6:
        raise PrunebenchError(f"{heads} heads times {factor:g} is no whole number of heads")
    return {"num_heads": wanted, "embed_dim": wanted * (model.embed_dim // heads)}


@_widens("timm.models.efficientnet.EfficientNet", "timm.models.mobilenetv3.MobileNetV3")
def _wider_efficientnet(model: Any, factor: float) -> dict[str, Any]:
    """Set timm's multiplier, for networks that leave it at its default of 1."""
    del model
    return {"channel_multiplier": factor}


def widened(model: nn.Module, factor: float) -> dict[str, Any]:
    """Return arguments that build ``model`` again with ``factor`` times its channels, each rounded.

    Weights then grow by about the square of the factor.

    Raises:
        PrunebenchError: nothing here widens this class of networks, or a transformer would have no
            whole number of heads.
    """
    kind = type(model)
    widen = WIDENINGS.get(f"{kind.__module__}.{kind.__name__}")
    if widen is None:
        known = ", ".join(sorted(name.rpartition(".")[2] for name in WIDENINGS))
        raise PrunebenchError(f"a {kind.__name__} cannot be widened; these can: {known}")
    return widen(model, factor)
