"""Criterion: the magnitude of a weight times the size of its input."""

from __future__ import annotations

from prunebench.experiment.registry import criterion
from prunebench.pruning.criteria._layer_inputs import input_sums, matrix
from prunebench.pruning.view import Scores, View


@criterion(patterns=("weight", "n-m"), needs=("batches", "activations"))
def wanda(view: View) -> Scores:
    """|W_ij|·‖X_j‖₂, X_j the weight's inputs over all samples and positions (Sun 2024, eq. 1).

    The paper compares within output rows (allocation ``per-row``) or within N:M groups of linear
    layers. A convolution is a linear layer on its unfolded input: X_j holds what the weight at an
    input channel and kernel position multiplies, zeros of the padding included, so that ‖X_j‖² is
    half the diagonal of SparseGPT's Hessian, as the paper derives it. Embeddings are refused.
    """
    squares = input_sums(view, list(view.layers), lambda rows: rows.square().sum(1))
    scores = {}
    for name, layer in view.layers.items():
        norms = squares[name].sqrt()[:, None]  # [groups, 1, d]
        scores[name] = (matrix(layer).to(norms).abs() * norms).view(layer.weight.shape)
    return scores
