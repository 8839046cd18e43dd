"""Decide which weights may be pruned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Prunable
from prunebench.training.models import head_of

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


def prunable_layers(model: nn.Module, settings: Prunable | None = None) -> dict[str, Layer]:
    """Return the layers whose weights may be pruned, by the weights' names, in the model's order.

    These are convolutions, linear layers and embeddings, but not the classifier head unless the
    settings say so. A weight that several modules share counts once, and as part of the head where
    one of them is the head.

    Args:
        model: the network.
        settings: whether the head counts, and patterns of names to exclude.

    Raises:
        PrunebenchError: nothing is left to prune.
        Refused: a layer's weight is not a parameter that could be held at zero.
    """
    settings = settings or Prunable()
    heads = [] if settings.head else head_of(model)
    kept = {id(module.weight) for module in heads if isinstance(module, PRUNABLE)}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    layers: dict[str, Layer] = {}
    for place, module in model.named_modules():
        if not isinstance(module, PRUNABLE) or module in heads or id(module.weight) in kept:
            continue
        own = f"{place}.weight".lstrip(".")
        name = names.get(id(module.weight))
        if (name or own) in layers:
            continue
        if any(fnmatch(name or own, pattern) for pattern in settings.exclude):
            continue
        if name is None or type(module).__name__ in _STANDARDIZED:
            raise Refused(
                f"{own!r} is computed from other values on each use ({type(module).__name__}), so"
                f" that zeros in it do not stay; exclude it: prunable: {{exclude: [{own}]}}"
            )
        layers[name] = Layer(name, module)
    if not layers:
        raise PrunebenchError(
            f"{type(model).__name__} has nothing to prune: no convolution, linear layer or"
            " embedding besides its classifier head and what prunable.exclude names"
        )
    return layers


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
