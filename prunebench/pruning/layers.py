"""Decide which weights may be pruned.

A layer is a module and the name of one of its parameters: a recurrent module holds two weights for
each of its layers and directions, and attention may hold those of its projections.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from torch import Tensor, nn

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.classifier import find_classifier
from prunebench.pruning.layer_names import fits, unfitting

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ONE_WEIGHT = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED, nn.Linear, nn.Embedding)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)  # nn.RNN, nn.LSTM, nn.GRU, and their single steps
_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
PRUNABLE = (*_ONE_WEIGHT, *RECURRENT, nn.MultiheadAttention)
# timm's convolutions that standardize their weights: a weight at zero is not zero when it is used
_STANDARDIZED = ("StdConv2d", "StdConv2dSame", "ScaledStdConv2d", "ScaledStdConv2dSame")


@dataclass(frozen=True)
class Layer:
    """A layer whose weight may be pruned."""

    name: str  # of its weight, as in named_parameters()
    module: nn.Module
    parameter: str = "weight"  # the weight's own name in the module

    @property
    def weight(self) -> nn.Parameter:
        """[out, in, ...] of a convolution, linear or recurrent layer, or attention's projections.

        [entries, features] of an embedding, [in, out, ...] of a transposed convolution.
        """
        return getattr(self.module, self.parameter)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights that a module itself applies and that may be pruned, by their own names.

    Args:
        module: of any type; other than those of ``PRUNABLE`` it has none.
    """
    if isinstance(module, _ONE_WEIGHT):
        own = ["weight"]
    elif isinstance(module, nn.RNNBase):
        own = [name for name in module._flat_weights_names if name.startswith("weight")]
    elif isinstance(module, nn.RNNCellBase):
        own = ["weight_ih", "weight_hh"]
    elif isinstance(module, nn.MultiheadAttention):
        own = [name for name in _PROJECTIONS if getattr(module, name) is not None]
    else:
        own = []
    return {name: getattr(module, name) for name in own}


def without_inputs(layer: Layer) -> str:
    """Return why what a layer's weight multiplies cannot be looked at; empty where it can.

    It can for linear layers and convolutions, whose module's input it is, and for recurrent layers;
    embeddings multiply nothing.
    """
    kind = type(layer.module).__name__
    if getattr(layer.module, "proj_size", 0):
        return f"the {kind} projects its states"
    if isinstance(layer.module, nn.MultiheadAttention):
        return f"{kind} applies it to queries, keys and values apart"
    if isinstance(layer.module, TRANSPOSED):
        return f"a {kind} spreads its inputs"
    return ""


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

    The weights of convolutions, linear and recurrent layers, attention and embeddings may, but not
    the classifier unless the settings say so. A weight that several modules share counts once, and
    as part of the classifier where one of them is.

    Args:
        model: the network.
        settings: whether the classifier counts, what it is, and what to exclude.
        example: an input [B, ...] to trace with; see ``find_classifier``.

    Raises:
        PrunebenchError: nothing is left to prune.
        Refused: a layer's weight is not a parameter that could be held at zero.
    """
    settings = settings or Prunable()
    # held: a weight that is computed is another tensor each time
    found = [
        (place, module, own, value)
        for place, module in model.named_modules()
        for own, value in weights_of(module).items()
    ]
    parameters = {id(value): name for name, value in model.named_parameters()}
    aliases: dict[int, list[str]] = defaultdict(list)  # every name of a weight, by its id
    for place, _, own, value in found:
        full = f"{place}.{own}".lstrip(".")
        aliases[id(value)] += [parameters.get(id(value), full), full]

    def named(weight: Tensor, patterns: list[str]) -> bool:
        return any(fits(p, name) for p in patterns for name in aliases[id(weight)])

    last = {id(value) for *_, value in found if named(value, settings.classifier)}
    if not last:
        heads = find_classifier(model, example)
        last = {id(value) for _, module, _, value in found if module in heads}
    layers: dict[str, Layer] = {}
    classifier, excluded = [], []
    for _, module, own, weight in found:
        name, full = aliases[id(weight)][:2]
        if id(weight) in last:
            classifier.append(name)
            if not settings.head:
                continue
        if named(weight, settings.exclude):
            excluded.append(name)
            continue
        if id(weight) not in parameters or type(module).__name__ in _STANDARDIZED:
            raise Refused(
                f"{full!r} is computed from other values on each use ({type(module).__name__}), so"
                f" that zeros in it do not stay; exclude it: prunable: {{exclude: [{full}]}}"
            )
        layers.setdefault(name, Layer(name, module, own))
    if not layers:
        raise PrunebenchError(
            f"{type(model).__name__} has nothing to prune: no convolution, linear layer, recurrent"
            " layer or embedding besides its classifier and what prunable.exclude names"
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
