"""Whether validation has enough samples to show a tolerance, known before anything is trained."""

from __future__ import annotations

from prunebench.errors import PrunebenchError
from prunebench.statistics.significance import ALPHA
from prunebench.statistics.tolerance import PairedErrors, samples_needed, upper_bound
from prunebench.text.numbers import number, percent, plural

CHANGED = 0.03  # of the samples: what a network as good as dense may judge otherwise


def check_samples(samples: int, points: float, methods: int) -> str | None:
    """Return a warning where validation is probably too small to show a tolerance.

    Args:
        samples: of validation.
        points: of error that may be lost.
        methods: that are tried and no controls: each has its part of the level.

    Returns:
        None where a network as good as dense is shown to be so about every second time, or more
        often, although it judges ``CHANGED`` of the samples otherwise.

    Raises:
        PrunebenchError: the tolerance could not even be shown for a network that predicts what
            dense predicts.
    """
    alpha = ALPHA / methods
    same, changed = (PairedErrors(samples, 0.0, share, True) for share in (0.0, CHANGED))
    least, usual = (samples_needed(found, points, alpha) for found in (same, changed))
    there = plural(samples, "validation sample")
    tried = plural(methods, "method")
    if least is None or samples < least:
        raise PrunebenchError(
            f"tolerance {points:g}: with {there} and {tried} no network can be shown to be within"
            f" it, not even one that predicts as dense does: that takes {least or 0:,} samples,"
            f" and about {usual or 0:,} where {percent(CHANGED)} of the predictions change. Give"
            f" more validation samples, or a tolerance above"
            f" {number(upper_bound(same, alpha), 1)} points, or fewer methods"
        )
    if usual is not None and samples < usual:
        return (
            f"tolerance {points:g}: {there} are few: a network as good as dense that predicts"
            f" {percent(CHANGED)} of them otherwise needs about {usual:,} to be shown so with"
            f" {tried}; the search may end with nothing shown"
        )
    return None
