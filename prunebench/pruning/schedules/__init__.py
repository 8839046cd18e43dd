"""Schedules: when weights are removed; a file for each kind.

A schedule is called with the curve and the sparsities asked for, and yields a pruned and recovered
network for each. It skips cells that are finished already and reads back from finished cells what
it needs of earlier rounds, so that a killed curve goes on from the last of them.
"""

from prunebench.pruning.schedules.one_shot_iterative import (
    at_initialization,
    dense,
    iterative,
    one_shot,
    rounds,
)

__all__ = ["at_initialization", "dense", "iterative", "one_shot", "rounds"]
