"""Progress of a grid: its status, its failures, and what a job reports while it works.

All of it is read from files, so that every job, and whoever asks, sees the same.
"""

from __future__ import annotations

from prunebench.runner.progress.reporter import (
    JobsInTurn,
    Phases,
    Progress,
    duration,
    grid_bar,
)
from prunebench.runner.progress.running_jobs import Running, at_work, running
from prunebench.runner.progress.status import State, counts, state
from prunebench.runner.progress.whole import begin

__all__ = [
    "JobsInTurn", "Phases", "Progress", "Running", "State", "at_work", "begin", "counts",
    "duration", "grid_bar", "running", "state",
]  # fmt: skip
