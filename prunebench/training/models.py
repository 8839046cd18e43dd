"""Build networks: any of timm's, of transformers', those that ship, those of a user's file.

What timm lacks stands in ``training/networks``. Like timm's own, these have ``get_classifier()``,
so that the head is known and is not pruned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.part_kinds import Network
from prunebench.experiment.registry import builtin, from_package, load, module_of_file
from prunebench.experiment.settings import Model
from prunebench.tasks.network_facts import NAMES, NetworkFacts
from prunebench.training import hub_networks
from prunebench.training.loaded_weights import fill
from prunebench.training.networks._images import Size, kaiming
from prunebench.training.widen import widened

# form of inputs -> the fact by which it is known
_ASKED = {
    "pixels": "in_chans", "features": "num_features", "tokens": "vocabulary", "pairs": "users",
}  # fmt: skip


def _from_timm(settings: Model, facts: NetworkFacts) -> nn.Module:
    import timm

    if not timm.is_model(settings.architecture):
        known = [*builtin(Network), *timm.list_models()]
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


def _from_file(own: OwnCode, settings: Model, facts: NetworkFacts) -> nn.Module:
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
        kaiming(stem)
    model.set_submodule(place, stem)
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        model.maxpool = nn.Identity()


def _build(settings: Model, facts: NetworkFacts) -> nn.Module:
    hub = HubName.named(settings.architecture)
    if hub is not None:
        return hub_networks.build(hub, settings, facts)
    own = OwnCode.named(settings.architecture)
    named = settings.architecture
    shipped = builtin(Network).get(named) or from_package(Network, named)
    if own is None and shipped is None:
        return _from_timm(settings, facts)
    if settings.pretrained:
        raise PrunebenchError(f"models: {settings.name}: has no pretrained weights")
    if own is not None:
        return _from_file(own, settings, facts)
    assert shipped is not None
    if not any(_ASKED[form] in facts.values for form in shipped.traits.inputs):
        facts.of(_ASKED[shipped.traits.inputs[0]], network=settings.name)
    return _called(load(shipped)(), settings, facts)


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _build_wider(settings: Model, facts: NetworkFacts, width: float) -> nn.Module:
    """Build the network with ``width`` times the channels of the plain one."""
    where = f"models: {settings.name}: width {width:g}"
    if settings.loads:
        raise PrunebenchError(f"{where}: loaded weights have only the width they came with")
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
            if settings.weights:
                fill(model, settings.weights, f"models: {settings.name}")
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
