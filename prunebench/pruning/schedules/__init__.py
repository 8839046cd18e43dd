"""When it is removed: a file per kind of schedule."""

from prunebench.pruning.schedules.one_shot_iterative import (
    at_initialization,
    dense,
    iterative,
    one_shot,
    rounds,
)

__all__ = ["at_initialization", "dense", "iterative", "one_shot", "rounds"]
