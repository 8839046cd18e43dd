"""Recoveries: what follows pruning.

A recovery is called with the curve, the pruned model, which it changes in place, and its masks. It
returns the run of its training.
"""

from prunebench.pruning.recovery.fine_tuning import (
    batch_norm_recalibration,
    fine_tuning,
    last_rate_fine_tuning,
    learning_rate_rewinding,
    none,
    weight_rewinding,
)
from prunebench.pruning.recovery.re_initialization import re_initialization

__all__ = [
    "batch_norm_recalibration",
    "fine_tuning",
    "last_rate_fine_tuning",
    "learning_rate_rewinding",
    "none",
    "re_initialization",
    "weight_rewinding",
]
