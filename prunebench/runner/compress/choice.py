"""Which of the networks that were tried is taken: by validation alone, never by the test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.evaluation.arrays import load_arrays
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.report.compressed import UNITS
from prunebench.runner.compress.size_budget import Budget
from prunebench.statistics.cells_table import flags
from prunebench.statistics.significance import ALPHA
from prunebench.statistics.tolerance import (
    EXCEEDED,
    FAILED,
    SHOWN,
    UNRESOLVED,
    PairedErrors,
    Tolerated,
    largest_tolerated,
    paired_errors,
    upper_bound,
)
from prunebench.storage.coordinates import coordinates_of_row
from prunebench.storage.layout import FACTS, PREDICTIONS, TARGETS
from prunebench.storage.records import DENSE, OK
from prunebench.tasks.predictions import Floats
from prunebench.tasks.task_kind import stored_kind
from prunebench.text.numbers import number, percent, plural

# how far above a budget a measured share may lie: a filter more or less, and times that vary
SLACK = {"weights": 0.005, "macs": 0.005, "latency": 0.05}
LEVEL = 0.95  # of intervals


class NothingTaken(PrunebenchError):
    """None of the networks that were tried is what was asked for."""

    def __init__(self, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons) or (f"{message}.",)


@dataclass(frozen=True)
class Choice:
    """The cell that was taken, and why."""

    cell: Cell
    row: dict[str, Any]  # of ``tried``
    place: int  # of the row
    reasons: tuple[str, ...]


def tried(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells beside dense, with the shares that they keep: ``kept_<unit>``.

    MACs and times are those of the shrunk network: what dense kernels really compute.

    Args:
        cells: the records of the search.
    """
    dense = cells[cells["method"] == DENSE].iloc[0]
    found = cells[cells["method"] != DENSE].copy()
    found["kept_weights"] = 1 - found["sparsity_achieved"].astype(float)
    found["kept_macs"] = found["macs_shrunk"].astype(float) / float(dense["macs_dense"])
    found["kept_latency"] = found["latency_ms"].astype(float) / found["latency_dense_ms"].astype(
        float
    )
    found["candidate"] = _no_controls(found) & (found["status"] == OK)
    return found.sort_values(["method", "sparsity"]).reset_index(drop=True)


def _no_controls(table: pd.DataFrame) -> pd.Series:
    return ~flags(table["control"]).fillna(False)


def by_budget(plan: Plan, table: pd.DataFrame, budget: Budget) -> Choice:
    """Return the cell of the lowest validation error of those that meet a budget.

    Of equal errors the lower loss decides, then the smaller share.

    Args:
        plan: of the search.
        table: of ``tried``.
        budget: to be met.

    Raises:
        NothingTaken: none meets it; the message says why, or how close they come.
    """
    column, largest = f"kept_{budget.unit}", budget.share * (1 + SLACK[budget.unit])
    there = table[table["candidate"]]
    meets = there[there[column] <= largest]
    if meets.empty:
        raise NothingTaken(f"budget {budget}: {_why_none(table, there, column)}")
    order = meets.sort_values(["val_error", "val_nll", column], na_position="last")
    reasons = (
        f"Taken: the lowest validation error among the {len(meets)} networks that keep at most"
        f" {percent(budget.share)} of the {UNITS[budget.unit]}"
        f" (measured with a slack of {percent(SLACK[budget.unit])}).",
    )
    return _chosen(plan, order.iloc[0], reasons)


def _why_none(table: pd.DataFrame, there: pd.DataFrame, column: str) -> str:
    if not there.empty and there[column].notna().any():
        return f"met by no network; the smallest keeps {percent(float(there[column].min()))}"
    told = table.loc[~table["status"].eq(OK), "message"].dropna().astype(str)
    reasons = list(dict.fromkeys(text for text in told if text))
    return f"no network can be taken: {reasons[0] if reasons else 'all failed'}"


def by_tolerance(plan: Plan, table: pd.DataFrame, points: float) -> Choice:
    """Return the smallest network that is shown to err at most some points more than dense.

    Each method is tested from low to high sparsity on validation (``statistics.tolerance``); of
    several methods each has its part of the level, so that the promise holds for the one taken.

    Args:
        plan: of the search.
        table: of ``tried``.
        points: of error, on the scale of 100.

    Raises:
        NothingTaken: nothing was shown; the message says how many samples would do.
    """
    candidates = table[_no_controls(table)]
    methods = sorted(candidates["method"].unique())
    alpha = ALPHA / len(methods)
    reasons, shown = [], []
    for method in methods:
        rows = candidates[candidates["method"] == method]
        pairs = [_pair(plan, row) if row["status"] == OK else None for _, row in rows.iterrows()]
        found = largest_tolerated(rows["sparsity"].tolist(), pairs, points, alpha)
        reasons.append(f"{method}: {_tolerated_in_words(found)}.")
        if found.place >= 0:
            shown.append(rows.iloc[found.place])
    if not shown:
        raise NothingTaken(
            f"tolerance {points:g}: not shown for any network; {' '.join(reasons)}", reasons
        )
    taken = min(shown, key=lambda row: (row["kept_macs"], row["params_shrunk"], row["val_error"]))
    first = (
        "Taken: the fewest MACs among the networks shown to err at most"
        f" {plural(points, 'point')} more than dense, with confidence {percent(1 - ALPHA)} over"
        f" {plural(len(methods), 'method')}."
    )
    return _chosen(plan, taken, (first, *reasons))


def _tolerated_in_words(found: Tolerated) -> str:
    said = f"shown up to sparsity {found.sparsity:g}, at most {number(found.bound)} points more"
    if found.place < 0:
        said = "nothing is shown"
    if found.ended == SHOWN or found.next_sparsity is None:
        return said
    if found.ended == FAILED:
        return f"{said}; sparsity {found.next_sparsity:g} failed"
    needed = f", about {found.needed:,} validation samples would show it" if found.needed else ""
    how = _ENDED[found.ended]
    return f"{said}; sparsity {found.next_sparsity:g} is {how}{needed}"


_ENDED = {
    EXCEEDED: "shown to be above the tolerance",
    UNRESOLVED: "neither shown to be within the tolerance nor above it",
}


def _chosen(plan: Plan, row: pd.Series, reasons: Sequence[str]) -> Choice:
    values = {str(key): value for key, value in row.items()}
    place = int(str(row.name))
    return Choice(plan.cell_at(coordinates_of_row(values)), values, place, tuple(reasons))


def _pair(plan: Plan, row: pd.Series, split: str = "val") -> PairedErrors:
    cell = plan.cell_at(coordinates_of_row(dict(row)))
    return paired_errors(errors_of(cell.dense, split), errors_of(cell, split))


def untested(kind: str) -> PrunebenchError:
    """Return the error that a tolerance is none of this kind of task's."""
    return PrunebenchError(
        f"tolerance: of the kind of task {kind} the error is no mean over samples of errors in"
        " [0, 1], and no test of samples bounds it; give a budget instead"
    )


def errors_of(cell: Cell, split: str) -> Floats:
    """Return the error of each sample of a split, [N], as the kind of task counts it.

    Args:
        cell: a finished cell.
        split: train, val or test.

    Raises:
        PrunebenchError: the kind's error is no mean over samples of errors in [0, 1].
    """
    own = cell.dense.folder
    kind = stored_kind(own / FACTS)
    stored = load_arrays(cell.folder / PREDICTIONS)[split].astype(np.float64)
    found = kind.tested_errors(kind.read(stored), load_arrays(own / TARGETS)[split])
    if found is None:
        raise untested(kind.name)
    return found


def interval_of(cell: Cell) -> tuple[float, float, float] | None:
    """Return how much more a cell errs than dense on the test samples, and its interval, in points.

    None where the kind's error is no mean over samples of errors in [0, 1].
    """
    try:
        return difference(cell.dense, cell, "test")
    except PrunebenchError:
        return None


def difference(one: Cell, other: Cell, split: str) -> tuple[float, float, float]:
    """Return how much more one cell errs than another on the same samples, in points.

    Args:
        one: a finished cell.
        other: another of the same baseline.
        split: whose samples are compared.

    Returns:
        The rise from ``one`` to ``other``, and the ends of its interval. It has ``LEVEL`` and is
        of the draw of these samples; it is exact where errors are 0 or 1.

    Raises:
        PrunebenchError: the kind's error is no mean over samples of errors in [0, 1].
    """
    found = paired_errors(errors_of(one, split), errors_of(other, split))
    each = (1 - LEVEL) / 2
    high, low = upper_bound(found, each), -upper_bound(found.mirrored(), each)
    return 100 * found.rise, low, high
