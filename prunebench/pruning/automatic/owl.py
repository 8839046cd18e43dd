"""Outlier Weighed Layerwise sparsity (Yin 2024)."""

from __future__ import annotations

import torch

from prunebench.experiment.registry import allocation
from prunebench.pruning.allocation import Draw, Keep, check_room, counts_near, lowest_of_each
from prunebench.pruning.view import Scores


@allocation(patterns=("weight",), compares="layer", ranges={"m": "(0, inf)", "spread": "[0, 1]"})
def owl(
    scores: Scores, remove: int, least: int, draw: Draw, *, m: float = 5.0, spread: float = 0.08
) -> Keep:
    """Layers with more outliers keep more: OWL (Yin 2024, ICML, section 3.2).

    An outlier scores more than ``m`` times the mean of its layer. The densities of the layers are
    the shares of outliers, scaled to a range of 2λ and shifted so that the total holds. The paper
    shares one density within each block of a transformer; here each layer has its own. It goes to
    a sparsity of 0.8; beyond 1 − 2λ its densities could be negative, and whole layers would go. So
    λ is at most half of the density that is left.

    Args:
        m: M of the paper.
        spread: λ of the paper, half the range of the densities.
    """
    check_room(scores, remove, least)
    sizes = torch.tensor([float(value.numel()) for value in scores.values()], dtype=torch.float64)
    outliers = torch.tensor([_outliers(value, m) for value in scores.values()], dtype=torch.float64)
    span = outliers.max() - outliers.min()
    spread = min(spread, float(1 - remove / sizes.sum()) / 2)
    wanted = 2 * spread * (outliers - outliers.min()) / span if span > 0 else outliers * 0
    density = wanted - (wanted * sizes).sum() / sizes.sum() + 1 - remove / sizes.sum()
    gone = (sizes * (1 - density)).tolist()
    return lowest_of_each(
        scores, counts_near(scores, dict(zip(scores, gone, strict=True)), least), least, draw
    )


def _outliers(value: torch.Tensor, m: float) -> float:
    """Return the share of scores above ``m`` times their mean; what is gone scores 0."""
    alive = value.detach().double().masked_fill(value.isneginf(), 0.0)
    return float((alive > m * alive.mean()).double().mean())
