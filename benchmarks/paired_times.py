"""Times of two ways that were taken in turn, compared pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Iterable


def ratio(times: Iterable[float], of: Iterable[float]) -> str:
    """Return the median of the pairs' ratios, with the least and the largest."""
    found = sorted(one / other for one, other in zip(times, of, strict=True))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"
