"""Which weights may be pruned."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.models import head_of
from prunebench.settings import Prunable

PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.Embedding)


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
    """The layers whose weights may be pruned, by the weights' names, in the model's order.

    Convolutions, linear layers and embeddings; not the classifier head unless the settings say so.
    A weight that several modules share counts once. Raises PrunebenchError where nothing is left.
    """
    settings = settings or Prunable()
    head = None if settings.head else head_of(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    layers: dict[str, Layer] = {}
    for module in model.modules():
        if not isinstance(module, PRUNABLE) or module is head:
            continue
        name = names.get(id(module.weight))
        if name is None or name in layers:
            continue
        if not any(fnmatch(name, pattern) for pattern in settings.exclude):
            layers[name] = Layer(name, module)
    if not layers:
        raise PrunebenchError(
            f"{type(model).__name__} has nothing to prune: no convolution, linear layer or"
            " embedding besides its classifier head and what prunable.exclude names"
        )
    return layers
