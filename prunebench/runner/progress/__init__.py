"""How far a grid is: which cells are done, running, failed or missing, and how long the rest takes.

All of it is read from files, so that every job, and whoever asks, sees the same.
"""

from __future__ import annotations

from prunebench.runner.progress.reporter import Progress, duration, grid_bar
from prunebench.runner.progress.running_jobs import Running, at_work, running
from prunebench.runner.progress.status import State, counts, state

__all__ = [
    "Progress", "Running", "State", "at_work", "counts", "duration", "grid_bar", "running", "state",
]  # fmt: skip
