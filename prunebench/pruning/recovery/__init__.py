"""What follows pruning. Each gets the curve, the pruned model (changed in place) and its masks."""

from prunebench.pruning.recovery.anew import re_initialization
from prunebench.pruning.recovery.onward import (
    batch_norm_recalibration,
    fine_tuning,
    learning_rate_rewinding,
    none,
    weight_rewinding,
)

__all__ = [
    "batch_norm_recalibration",
    "fine_tuning",
    "learning_rate_rewinding",
    "none",
    "re_initialization",
    "weight_rewinding",
]
