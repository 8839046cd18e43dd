"""Decide which weights may be pruned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.classifier import find_classifier
from prunebench.pruning.layer_names import fits, unfitting

PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.Embedding)
# timm's convolutions that standardize their weights: a weight at zero is not zero when it is used
_STANDARDIZED = ("StdConv2d", "StdConv2dSame", "ScaledStdConv2d", "ScaledStdConv2dSame")


@dataclass(frozen=True)
class Layer:
    """A layer whose weight may be pruned."""

    name: str  # of its weight, as in named_parameters()
    module: nn.Module

    @property
    def weight(self) -> nn.Parameter:
        """[out, in, ...] of a convolution or linear layer; [entries, features] of an embedding."""
        return self.module.weight  # type: ignore[return-value]


@dataclass(frozen=True)
class Layers:
    """The layers of a network that hold weights to prune, and what is left alone; by name."""

    prunable: dict[str, Layer]  # by the names of their weights, in the network's order
    classifier: tuple[str, ...]  # its weights; prunable only where the settings say so
    excluded: tuple[str, ...]
    unfitting: dict[str, str]  # pattern of the settings that names nothing here -> a message


def sort_layers(
    model: nn.Module, settings: Prunable | None = None, example: Tensor | None = None
) -> Layers:
    """Return which layers may be pruned, and which are left alone.

    Convolutions, linear layers and embeddings may, but not the classifier unless the settings say
    so. A weight that several modules share counts once, and as part of the classifier where one of
    them is.

    Args:
        model: the network.
        settings: whether the classifier counts, what it is, and what to exclude.
        example: an input [B, ...] to trace with; see ``find_classifier``.

    Raises:
        PrunebenchError: nothing is left to prune.
        Refused: a layer's weight is not a parameter that could be held at zero.
    """
    settings = settings or Prunable()
    found = [(place, m) for place, m in model.named_modules() if isinstance(m, PRUNABLE)]
    places: dict[nn.Module, str] = {module: place for place, module in found}
    # held: a weight that is computed is another tensor each time
    weights: dict[nn.Module, Tensor] = {module: module.weight for _, module in found}
    parameters = {id(value): name for name, value in model.named_parameters()}
    aliases: dict[int, list[str]] = defaultdict(list)  # every name of a weight, by its id
    for module, place in places.items():
        own = f"{place}.weight".lstrip(".")
        aliases[id(weights[module])] += [parameters.get(id(weights[module]), own), own]

    def named(module: nn.Module, patterns: list[str]) -> bool:
        return any(fits(p, name) for p in patterns for name in aliases[id(weights[module])])

    heads = [module for module in places if named(module, settings.classifier)]
    heads = heads or [m for m in find_classifier(model, example) if m in places]
    last = {id(weights[module]) for module in heads}
    layers: dict[str, Layer] = {}
    classifier, excluded = [], []
    for module, weight in weights.items():
        name, own = aliases[id(weight)][:2]
        if id(weight) in last:
            classifier.append(name)
            if not settings.head:
                continue
        if named(module, settings.exclude):
            excluded.append(name)
            continue
        if id(weight) not in parameters or type(module).__name__ in _STANDARDIZED:
            raise Refused(
                f"{own!r} is computed from other values on each use ({type(module).__name__}), so"
                f" that zeros in it do not stay; exclude it: prunable: {{exclude: [{own}]}}"
            )
        layers.setdefault(name, Layer(name, module))
    if not layers:
        raise PrunebenchError(
            f"{type(model).__name__} has nothing to prune: no convolution, linear layer or"
            " embedding besides its classifier and what prunable.exclude names"
        )
    names = [name for several in aliases.values() for name in several]
    return Layers(
        layers, tuple(dict.fromkeys(classifier)), tuple(dict.fromkeys(excluded)),
        {
            **unfitting("prunable: exclude", settings.exclude, names, parameters.values()),
            **unfitting("prunable: classifier", settings.classifier, names),
        },
    )  # fmt: skip


def prunable_layers(
    model: nn.Module, settings: Prunable | None = None, example: Tensor | None = None
) -> dict[str, Layer]:
    """Return the layers whose weights may be pruned, by the weights' names, in the model's order.

    See ``sort_layers`` for what counts, the arguments, and what is raised.
    """
    return sort_layers(model, settings, example).prunable


@contextmanager
def evaluating(model: nn.Module, batch_norm: str = "eval") -> Iterator[None]:
    """Switch to eval mode within the block; then restore the mode of every module.

    Args:
        model: the network.
        batch_norm: ``train`` lets batch norms use the statistics of each batch; those that they
            keep are left as they are.
    """
    modes = [(module, module.training) for module in model.modules()]
    norms = [module for module, _ in modes if isinstance(module, _BatchNorm)]
    kept = [norm.track_running_stats for norm in norms]
    model.eval()
    if batch_norm == "train":
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, tracks in zip(norms, kept, strict=True):
            norm.track_running_stats = tracks
        for module, training in modes:
            module.training = training
