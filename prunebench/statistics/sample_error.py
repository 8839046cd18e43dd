"""Bound the error of a difference that comes from the test samples, from records alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri

from prunebench.statistics.bootstrap import LEVEL, Floats
from prunebench.statistics.training_outcomes import column

FLIPS = ("flips_to_wrong", "flips_to_right")
COUNTED = (*FLIPS, "test_samples")  # columns that say how far the test samples carry
Z = float(ndtri((1 + LEVEL) / 2))


def sample_errors(rows: pd.DataFrame) -> pd.Series:
    """Return the standard error of each row's difference to dense over draws of test samples.

    Both networks predict the same n samples, so the error of the difference D is that of paired
    shares: √((b + c − D²)/n), with b and c the shares of the samples that only one of the two gets
    right (McNemar 1947). Where flips were not recorded b + c is at most the sum of both errors.

    Args:
        rows: Cells with ``reference_error``, as ``paired_difference`` returns them.

    Returns:
        In points; NaN where the number of test samples is not recorded.
    """
    error, dense = column(rows, "test_error"), column(rows, "reference_error")
    changed = column(rows, FLIPS[0]) + column(rows, FLIPS[1])
    changed = changed.fillna((error + dense).clip(upper=1))
    variance = (changed - (error - dense) ** 2).clip(lower=0)
    return (variance / column(rows, "test_samples")) ** 0.5 * 100


def over_settings(tasks: Sequence[str], errors: Floats) -> float:
    """Return the standard error of a mean over settings, weighted equally; 0 where none is known.

    Settings of a task share its test samples, and so do its seeds: their errors may all go the same
    way, and are added. That is an upper bound. Those of different tasks are independent.

    Args:
        tasks: Of each setting.
        errors: Of each setting, the mean over its seeds; NaN counts as none.
    """
    known = np.nan_to_num(np.asarray(errors, dtype=float))
    of_task: dict[str, float] = {}
    for task, error in zip(tasks, known, strict=True):
        of_task[task] = of_task.get(task, 0.0) + float(error) / len(known)
    return float(np.sqrt(sum(each**2 for each in of_task.values())))


def widened(value: float, low: float, high: float, sample_error: float) -> tuple[float, float]:
    """Return an interval over seeds widened by the error of the test samples."""
    extra = Z * sample_error
    return (
        value - float(np.hypot(value - low, extra)), value + float(np.hypot(high - value, extra))
    )  # fmt: skip
