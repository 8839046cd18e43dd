"""Criterion: how well the other filters of a layer can replace a filter."""

from __future__ import annotations

import torch
from torch import Tensor

from prunebench.experiment.registry import criterion
from prunebench.pruning.view import Scores, View


def _distances(weight: Tensor) -> Tensor:
    rows = weight.flatten(1).double()
    # many distances are taken from |a|² + |b|² − 2ab, which cancels for filters that are alike:
    # hence double precision, and the mean is subtracted
    rows = rows - rows.mean(0)
    return torch.cdist(rows, rows).sum(1)


@criterion(patterns=("filter",))
def fpgm(view: View) -> Scores:
    """Σ_j ‖W_i − W_j‖₂ over the filters of the layer: low near their geometric median (He 2019).

    Equations 4 to 8, with the distance of the weights themselves, not of their magnitudes or
    powers.
    """
    return {name: _distances(weight) for name, weight in view.weights.items()}
