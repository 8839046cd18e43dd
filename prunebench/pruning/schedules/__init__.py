"""When it is removed: a file per kind of schedule."""

from prunebench.pruning.schedules.between import (
    at_initialization,
    dense,
    iterative,
    one_shot,
    rounds,
)

__all__ = ["at_initialization", "dense", "iterative", "one_shot", "rounds"]
