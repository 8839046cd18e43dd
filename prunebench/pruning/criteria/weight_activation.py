"""Criterion: the magnitude of a weight times the mean magnitude of its input."""

from __future__ import annotations

from torch import Tensor

from prunebench.experiment.registry import criterion
from prunebench.pruning.layers import Layer
from prunebench.pruning.view import Scores, View


def per_weight(layer: Layer, inputs: Tensor) -> Tensor:
    """Return values by input channel, shaped to multiply a layer's weight [out, in / groups, ...].

    Args:
        layer: the layer.
        inputs: [in channels].
    """
    weight = layer.weight
    groups = getattr(layer.module, "groups", 1)
    # filters of group j read the j-th block of input channels
    blocks = inputs.view(groups, 1, -1).expand(-1, weight.shape[0] // groups, -1)
    return blocks.reshape(weight.shape[0], -1, *[1] * (weight.ndim - 2))


@criterion(patterns=("weight", "n-m"), needs=("batches", "activations"))
def weight_activation(view: View) -> Scores:
    """|w|·mean|x|, x the input of the weight, averaged over samples and positions.

    After the activation-magnitude strategy of ShrinkBench, the software of Blalock 2020; the paper
    itself only compares magnitude and gradient. ShrinkBench averages inputs over samples before it
    takes absolute values, so that signs cancel; here they do not. Behind a ReLU the two agree.
    """
    means = view.input_means(lambda inputs: inputs.abs())
    return {
        name: layer.weight.detach().abs() * per_weight(layer, means[name])
        for name, layer in view.layers.items()
    }
