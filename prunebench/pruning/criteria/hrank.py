"""Criterion: how much information a feature map holds."""

from __future__ import annotations

import torch
from torch import Tensor

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


def _ranks(values: Tensor) -> Tensor:
    """Return the ranks [B, C] of the maps [B, H, W, C]; a single value is a map of one pixel."""
    if values.ndim == 2:
        return (values != 0).float()
    if values.ndim != 4:
        raise Refused(
            f"HRank takes the rank of feature maps [height, width]; here are activations of shape"
            f" {tuple(values.shape[1:-1])} in each channel"
        )
    return torch.linalg.matrix_rank(values.movedim(-1, 1)).float()


@criterion(patterns=("filter",), needs=("batches", "activations"), ranges={"images": "[1, inf)"})
def hrank(view: View, *, images: int = 64) -> Scores:
    """Mean rank of a filter's feature maps, after the nonlinearity (Lin 2020, equation 5).

    A rank is at most the size of the map, so the score is meant for a ranking within each layer.

    Args:
        images: how many calibration samples, from the first; the paper shows that a few suffice,
            and each map costs a decomposition.

    Raises:
        Refused: the activations are no maps, as in transformers.
    """
    return view.few(images).activation_means(_ranks)
