"""What follows pruning. Each gets the curve, the pruned model (changed in place) and its masks."""

from prunebench.pruning.recovery.fine_tuning import (
    batch_norm_recalibration,
    fine_tuning,
    learning_rate_rewinding,
    none,
    weight_rewinding,
)
from prunebench.pruning.recovery.re_initialization import re_initialization

__all__ = [
    "batch_norm_recalibration",
    "fine_tuning",
    "learning_rate_rewinding",
    "none",
    "re_initialization",
    "weight_rewinding",
]
