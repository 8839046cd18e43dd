"""Compare a cell that was computed again with its record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import t_quantile
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.records import COLLAPSED, OK, QUALITY

IDENTICAL, INSIDE = "bit-identical", "inside the interval"
DIFFERENT, UNDECIDED = "different", "not decidable"
NOT_RUN = "not re-run"  # it needs code that nobody said to trust
CONFIRMED = (IDENTICAL, INSIDE)
EXPECTED = "processor, versions and code are those of the record: the same bits are expected"
INTERVAL = "95 % Student's t interval for one further run, over the seeds of the records"
LEAST_SEEDS = 3
# columns that no other machine may change: where they differ, something else was computed
FIXED = (
    "status", "classes", "data_hash", "weights_hash", "label_hash", "params_total", "train_epochs",
)  # fmt: skip
# columns that must have the same bits; other sizes follow from the mask
BITS = (
    *FIXED, "mask_hash", "tied_share", "sparsity_achieved", "params_kept", "train_loss_fall",
    "stopped_epoch", *QUALITY,
)  # fmt: skip
ENVIRONMENT = (
    "python_version", "torch_version", "torchvision_version", "timm_version", "device", "processor",
    "precision", "threads", "commit", "dirty", "lock_hash", "code_hash", "config_hash",
)  # fmt: skip
# where these are recorded and the same, on a CPU, so are the bits
DECIDES_BITS = (
    "torch_version",
    "torchvision_version",
    "timm_version",
    "processor",
    "threads",
    "code_hash",
)


@dataclass(frozen=True)
class Compared:
    """The verdict on one cell, and what it rests on."""

    cell: Coordinates
    verdict: str  # IDENTICAL, INSIDE, DIFFERENT, UNDECIDED or NOT_RUN
    reason: str  # empty where the bits are the same
    differs: tuple[str, ...]  # columns whose values are not the same to the last digit
    test_error: tuple[float, float]  # in the record, and computed here; NaN where there is none
    interval: tuple[float, float] | None  # of the test error; None with fewer than 3 seeds
    environment: tuple[tuple[str, str, str], ...]  # column, value in the record, value here


def not_computed(cell: Coordinates, verdict: str, reason: str) -> Compared:
    """Return the verdict on a cell that was not computed again."""
    return Compared(cell, verdict, reason, (), (math.nan, math.nan), None, ())


def interval(errors: Any) -> tuple[float, float] | None:
    """Return the interval in which the test error of one more run is expected.

    mean ± t(0.975, n − 1) · s · √(1 + 1/n): a prediction interval, since a single run is compared;
    the interval of the mean narrows with n, and even a seed that is repeated could lie outside.
    It is cut at 0 and 1, the range of an error.

    Args:
        errors: test errors of the seeds [n]; NaN is left out.

    Returns:
        Its two ends; None with fewer than 3 values.
    """
    values = np.asarray(errors, dtype=float)
    values = values[~np.isnan(values)]
    n = len(values)
    if n < LEAST_SEEDS:
        return None
    half = float(t_quantile(np.asarray(n - 1.0))) * float(values.std(ddof=1)) * (1 + 1 / n) ** 0.5
    mean = float(values.mean())
    # an error is a fraction: what lies outside of its range no run can have
    return max(0.0, mean - half), min(1.0, mean + half)


def errors_of(cells: pd.DataFrame, cell: Coordinates) -> Any:
    """Return the test errors [n] of a cell and of those that differ from it in their seed alone.

    Args:
        cells: the checked table.
        cell: the cell.
    """
    same = cells["status"].isin([OK, COLLAPSED])
    for column in ("task", "regime", "model", "method"):
        same &= cells[column] == getattr(cell, column)
    same &= cells["sparsity"].round(10) == cell.sparsity
    return cells.loc[same, "test_error"].to_numpy(float)


def compare(
    cell: Coordinates, record: Mapping[str, Any], here: Mapping[str, Any], errors: Any
) -> Compared:
    """Compare a cell that was computed here with its record.

    Args:
        cell: which cell it is.
        record: its row in cells.csv, as text; columns that it lacks are not compared.
        here: its row as computed here.
        errors: test errors of all seeds of the record's table, this one's among them.
    """
    differs = tuple(c for c in BITS if c in record and not same(record[c], here.get(c)))
    expected, found = interval(errors), _number(here.get("test_error"))
    known = _number(record.get("test_error"))
    verdict, reason = _judge(differs, record, here, expected, (known, found))
    # a mask may stand on measured times, which no machine repeats
    if verdict == INSIDE and "mask_hash" not in differs and _same_bits_expected(record, here):
        verdict, reason = DIFFERENT, f"{reason}, yet {EXPECTED}"
    environment = tuple(
        (name, _text(record[name]), _text(here.get(name)))
        for name in ENVIRONMENT
        if name in record and not same(record[name], here.get(name))
    )
    return Compared(cell, verdict, reason, differs, (known, found), expected, environment)


def _same_bits_expected(record: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    known = all(_text(record.get(name)) for name in DECIDES_BITS)
    # older records do not tell the precision, which was then the one that their settings say
    deciding = [name for name in (*DECIDES_BITS, "precision") if name in record]
    alike = all(same(record[name], here.get(name)) for name in deciding)
    return known and alike and _text(record.get("device")) == _text(here.get("device")) == "cpu"


def _judge(
    differs: tuple[str, ...], record: Mapping[str, Any], here: Mapping[str, Any],
    expected: tuple[float, float] | None, errors: tuple[float, float],
) -> tuple[str, str]:  # fmt: skip
    if not differs:
        return IDENTICAL, ""
    fixed = [column for column in differs if column in FIXED]
    if fixed:
        told = "; ".join(
            f"{c} is {_text(here.get(c))}, in the record {_text(record[c])}" for c in fixed
        )
        if "status" in fixed and here.get("message"):
            told = f"{told} ({_text(here['message'])})"
        return DIFFERENT, told
    known, found = errors
    said = f"test_error {found:.4f}, in the record {known:.4f}"
    if math.isnan(found) or math.isnan(known):
        return DIFFERENT, f"not measured: {said}"
    if expected is None:
        return UNDECIDED, f"{said}; fewer than {LEAST_SEEDS} seeds give no interval"
    low, high = expected
    # the ends are sums of floats: a value on an end lies inside
    inside = low - 1e-9 <= found <= high + 1e-9
    said = f"{said}, interval [{low:.4f}, {high:.4f}]"
    return (INSIDE if inside else DIFFERENT), said


def same(text: Any, value: Any) -> bool:
    """Return whether a field of cells.csv has a value, to the last digit.

    Numbers are compared as numbers: 76990 stands as 76990.0 in a column that has empty fields.
    """
    left, right = _text(text), _text(value)
    if left == right:
        return True
    one, other = _number(left), _number(right)
    return one == other


def _text(value: Any) -> str:
    """A value as cells.csv writes it; a missing one is empty."""
    missing = value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA
    return "" if missing else str(value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
