"""Build networks: any of timm's, four that timm lacks, and those of a user's file.

Like timm's own, the four have ``get_classifier()``, so that the head is known and is not pruned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment.own_network import OwnNetwork
from prunebench.experiment.registry import module_of_file
from prunebench.experiment.settings import Model
from prunebench.tasks.network_facts import NAMES, NetworkFacts
from prunebench.training.widen import widened

Size = int | Sequence[int]  # of images in pixels: the side of square ones, or height and width


def _sides(size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


class SeedCNN(nn.Module):
    """Two 3×3 convolutions of 32 and 64 filters, each pooled; then 120, 84, classes units."""

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size,
        filters: Sequence[int] = (32, 64), units: Sequence[int] = (120, 84),
    ) -> None:  # fmt: skip
        super().__init__()
        height, width = _sides(image_size)
        if min(height, width) < 4:
            raise PrunebenchError(f"seed-cnn needs images of at least 4×4, not {height}×{width}")
        (one, two), (three, four) = filters, units
        self.features = nn.Sequential(
            nn.Conv2d(in_chans, one, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(one, two, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.hidden = nn.Sequential(
            nn.Linear(two * (height // 4) * (width // 4), three), nn.ReLU(),
            nn.Linear(three, four), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(four, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]."""
        return self.head(self.hidden(self.features(x).flatten(1)))

    def get_classifier(self) -> nn.Module:
        return self.head


class CifarResNet(nn.Module):
    """The ResNets of the CIFAR literature (He 2016, section 4.2): stages of 16, 32, 64 channels.

    A 3×3 stem without pooling, then three stages of ``blocks``: three make ResNet-20 (0.27 M
    weights), nine ResNet-56 (0.85 M). They are built of timm's BasicBlock, since timm's ResNet
    needs four stages. Where the shape changes the shortcut is a 1×1 convolution (option B).
    """

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size, blocks: int = 3, width: int = 16
    ) -> None:
        super().__init__()
        from timm.models.resnet import BasicBlock

        del image_size  # any: the last pooling is global
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages, channels = [], width
        for stage in range(3):
            out, stride = width * 2**stage, 1 if stage == 0 else 2
            shortcut = None
            if stride != 1:
                shortcut = nn.Sequential(
                    nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                )
            row = [BasicBlock(channels, out, stride, shortcut)]
            row += [BasicBlock(out, out) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*row))
            channels = out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        _kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]."""
        return self.head(self.stages(self.stem(x)).mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head


class VGG16(nn.Module):
    """The VGG-16 of the CIFAR literature: thirteen 3×3 convolutions, batch norms, one classifier.

    14.7 M weights (Li 2017, Tanaka 2020). timm's ``vgg16_bn`` keeps ImageNet's two layers of 4,096
    units: 120 M weights that no published figure on small images has. ``average_pool`` and
    ``fan_in`` make it the network of Tanaka 2020: there the last pooling averages, and all weights,
    those of the classifier too, are drawn by their fan-in.
    """

    CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each stage

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size,
        widths: Sequence[int] = (64, 128, 256, 512, 512), average_pool: bool = False,
        fan_in: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(sides := _sides(image_size)) < 32:
            raise PrunebenchError(
                f"vgg16-cifar needs images of at least 32×32, not {sides[0]}×{sides[1]}"
            )
        layers: list[nn.Module] = []
        channels = in_chans
        for width, count in zip(widths, self.CONVOLUTIONS, strict=True):
            for _ in range(count):
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                ]
                channels = width
            layers.append(nn.MaxPool2d(2))
        if average_pool:
            layers.pop()  # the mean over what is left does it
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, num_classes)
        _kaiming(self)
        if fan_in:
            _kaiming_by_fan_in(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]."""
        return self.head(self.features(x).mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head


def _kaiming(model: nn.Module) -> None:
    """Initialize every convolution as He 2015, by its fan-out, like timm's ResNets."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _kaiming_by_fan_in(model: nn.Module) -> None:
    """Initialize every convolution and linear layer as He 2015, by its fan-in; no bias is drawn."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


OWN: dict[str, Callable[..., nn.Module]] = {
    "seed-cnn": SeedCNN,
    "resnet20": CifarResNet,
    "resnet56": partial(CifarResNet, blocks=9),
    "vgg16-cifar": VGG16,
}


def _from_timm(settings: Model, facts: NetworkFacts) -> nn.Module:
    import timm

    if not timm.is_model(settings.architecture):
        known = [*OWN, *timm.list_models()]
        near = suggest(settings.architecture, known)
        raise PrunebenchError(
            f"models: unknown model {settings.architecture!r}"
            + (near if "did you mean" in near else "; `timm.list_models()` lists timm's")
        )
    arguments: dict[str, Any] = dict(settings.arguments)
    classes, channels, sides = facts.of(
        "num_classes", "in_chans", "image_size", network=settings.name
    )
    common: dict[str, Any] = {
        "num_classes": classes,
        "in_chans": channels,
        "pretrained": settings.pretrained,
    }
    # what only some architectures know: transformers fix their number of positions when they are
    # built, and a residual branch that starts at zero gives all its weights the gradient 0, so that
    # what scores them before training would choose by draws
    some: dict[str, Any] = {"img_size": _as_asked(sides), "zero_init_last": False}
    some = {name: value for name, value in some.items() if name not in arguments}
    while True:
        try:
            return timm.create_model(settings.architecture, **common, **some, **arguments)
        except TypeError as error:
            unknown = [name for name in some if f"'{name}'" in str(error)]
            if not unknown:
                raise
            some = {name: value for name, value in some.items() if name not in unknown}


def _called(build: Callable[..., nn.Module], settings: Model, facts: NetworkFacts) -> nn.Module:
    """Call a class or function with what it asks of the data by its parameters' names."""
    given: dict[str, Any] = dict(settings.arguments)
    for name, parameter in inspect.signature(build).parameters.items():
        if name in given:
            continue
        if name in facts.values:
            value = facts.values[name]
            given[name] = _as_asked(value) if name == "image_size" else value
        elif name in NAMES and parameter.default is parameter.empty:
            facts.of(name, network=settings.name)  # which says what is missing
    return build(**given)


def _as_asked(sides: tuple[int, int]) -> Size:
    # of constructors that know an image's size, most take two sides, and all take one
    return sides[0] if len(set(sides)) == 1 else sides


def _from_file(own: OwnNetwork, settings: Model, facts: NetworkFacts) -> nn.Module:
    network = _called(getattr(module_of_file(own.source), own.name), settings, facts)
    if not isinstance(network, nn.Module):
        raise PrunebenchError(
            f"models: {settings.name}: {settings.architecture} gives a {type(network).__name__},"
            " not a torch.nn.Module"
        )
    return network


def zero_branches(model: nn.Module) -> bool:
    """Return whether a norm scales all its channels by 0, as ``zero_init_last`` lets them start.

    The residual branch that ends in this norm is then zero, and so is every gradient within it.
    """
    named = model.named_parameters()
    scales = [value for name, value in named if value.ndim == 1 and name.endswith("weight")]
    return any(not scale.any() for scale in scales)


def _shrink_stem(model: nn.Module, name: str) -> None:
    """Keep the resolution of small images: a 3×3 convolution of stride 1 first, without pooling.

    As in the CIFAR literature's wide ResNet-18. A first convolution of 3×3 keeps its weights.
    """
    convolutions = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    place, first = convolutions[0] if convolutions else ("", None)
    if first is None or max(first.stride) == 1:
        raise PrunebenchError(
            f"models: {name}: stem: small is for networks whose first convolution strides;"
            " this one's does not: leave it out"
        )
    if first.kernel_size == first.stride:
        raise PrunebenchError(
            f"models: {name}: stem: small: the first convolution cuts patches; give the patch size"
            " in arguments instead"
        )
    stem = nn.Conv2d(
        first.in_channels, first.out_channels, 3, padding=1, bias=first.bias is not None
    )
    if first.kernel_size == (3, 3):
        stem.load_state_dict(first.state_dict())
    else:
        _kaiming(stem)
    model.set_submodule(place, stem)
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        model.maxpool = nn.Identity()


def _build(settings: Model, facts: NetworkFacts) -> nn.Module:
    own = OwnNetwork.named(settings.architecture)
    if own is None and settings.architecture not in OWN:
        return _from_timm(settings, facts)
    if settings.pretrained:
        raise PrunebenchError(f"models: {settings.name}: has no pretrained weights")
    if own is not None:
        return _from_file(own, settings, facts)
    return _called(OWN[settings.architecture], settings, facts)


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _build_wider(settings: Model, facts: NetworkFacts, width: float) -> nn.Module:
    """Build the network with ``width`` times the channels of the plain one."""
    where = f"models: {settings.name}: width {width:g}"
    if settings.pretrained:
        raise PrunebenchError(f"{where}: pretrained weights have only the width they came with")
    with torch.random.fork_rng(devices=[]):
        plain = _build(settings, facts)
    try:
        more = widened(plain, width)
    except PrunebenchError as error:
        raise PrunebenchError(f"{where}: {error}") from error
    try:
        arguments = {**settings.arguments, **more}
        wider = _build(settings.model_copy(update={"arguments": arguments}), facts)
    except (TypeError, ValueError, RuntimeError) as error:
        raise PrunebenchError(f"{where}: its constructor refuses {more}: {error}") from error
    if _count(wider) == _count(plain):
        raise PrunebenchError(f"{where}: rounds to the channels that it has without")
    return wider


def create(settings: Model, facts: NetworkFacts, seed: int, width: float = 1.0) -> nn.Module:
    """Build a network from ``seed`` alone; the global generator is left as it was.

    Args:
        settings: the architecture, its arguments and its stem.
        facts: what it must know of the data.
        seed: of the initial weights.
        width: factor on its channels, rounded to what its structure allows.

    Raises:
        PrunebenchError: the model is unknown, does not take its arguments, cannot have this stem or
            width, needs larger images, or inputs of another form.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = _build(settings, facts) if width == 1 else _build_wider(settings, facts, width)
            if settings.stem == "small":
                _shrink_stem(model, settings.name)
        except (TypeError, OSError, RuntimeError) as error:
            said = f"models: {settings.name}: {error}{only_square(facts)}"
            raise PrunebenchError(said) from error
    return model


def only_square(facts: NetworkFacts) -> str:
    """Return the advice to end a refusal with where images are not square, else ""."""
    height, width = facts.sides or (0, 0)
    if height == width:
        return ""
    return f"; if it needs square images, not {height}×{width}: set image_size: of the task"


def head_of(model: nn.Module) -> list[nn.Module]:
    """Return the classifier and all modules in it.

    The head is what ``get_classifier()`` returns, else the last linear layer. Some of timm's models
    have several classifiers (distilled transformers), some none.
    """
    if hasattr(model, "get_classifier"):
        found = cast(Any, model).get_classifier()
        heads = found if isinstance(found, tuple | list) else (found,)
    else:
        heads = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    return [part for head in heads if isinstance(head, nn.Module) for part in head.modules()]
