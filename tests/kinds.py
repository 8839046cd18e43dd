"""Kinds of tasks with plain facts."""

from __future__ import annotations

from prunebench.tasks.kinds.classification import Classification


def classes(count: int) -> Classification:
    """Classification of that many classes, named by their numbers."""
    return Classification({"names": [str(label) for label in range(count)]})
