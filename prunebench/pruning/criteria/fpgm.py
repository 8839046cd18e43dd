"""How replaceable a filter is by the others of its layer."""

from __future__ import annotations

import torch

from prunebench.components import criterion
from prunebench.pruning.view import Scores, View


@criterion(patterns=("filter",))
def fpgm(view: View) -> Scores:
    """Σ_j ‖W_i − W_j‖₂ over the filters of the layer: low near their geometric median (He 2019).

    Equations 4 to 8; the distance of the weights themselves, not of their magnitudes or powers.
    """
    return {
        # differences, not the expansion |a|² + |b|² − 2ab: it cancels for filters that are alike
        name: torch.cdist(
            rows := weight.flatten(1).float(), rows, compute_mode="donot_use_mm_for_euclid_dist"
        ).sum(1)
        for name, weight in view.weights.items()
    }
