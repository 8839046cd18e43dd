"""The largest sparsity within the tolerance, of each method on each baseline, from records alone.

It is chosen on validation samples. What the test samples say of it stands beside it, and is never
chosen by.
"""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.published_results import own
from prunebench.statistics.significance import ALPHA
from prunebench.statistics.tolerance import (
    TAU,
    PairedErrors,
    Tolerated,
    bisected,
    largest_tolerated,
)
from prunebench.statistics.training_outcomes import column
from prunebench.storage.records import DENSE

CURVE = [*SETTING, "method", "seed"]
NEEDED = ("val_samples", "val_rise", "val_rise_square")
COLUMNS = (
    *CURVE, "tolerance", "alpha", "val_samples", "noisy_labels", "sparsity", "val_rise",
    "val_bound", "test_rise", "ended", "next_sparsity", "next_p", "samples_needed",
    "bisected_sparsity", "bisected_test_rise",
)  # fmt: skip


def tolerance_table(cells: pd.DataFrame, tau: float = TAU, alpha: float = ALPHA) -> pd.DataFrame:
    """Return for each method on each baseline the largest sparsity within the tolerance.

    Args:
        cells: Checked cells. Published rows, dense ones and those of methods that remove nothing
            take no part.
        tau: The tolerance, in points of error above dense.
        alpha: The probability with which a sparsity above the tolerance may be given.

    Returns:
        COLUMNS, a row a curve; without rows where the records lack NEEDED. Rises are in points:
        ``val_rise`` and its upper bound ``val_bound`` on validation, at the ``sparsity`` shown (0:
        none but dense). ``noisy_labels``: whether the validation labels carry the regime's noise;
        ``test_rise`` is always of clean labels. ``ended`` is how ``largest_tolerated`` ended, at
        ``next_sparsity``; ``samples_needed`` is empty where no number of samples would do.
        ``bisected_sparsity`` is what bisection would have chosen.
    """
    table = _with_test_rise(own(cells))
    table = table[(table["method"] != DENSE) & (table["sparsity"] > 0)]
    if any(column(table, name).isna().all() for name in NEEDED):
        return pd.DataFrame(columns=list(COLUMNS))
    rows = [
        dict(zip(CURVE, key, strict=True)) | _row(curve, tau, alpha)
        for key, curve in table.groupby(CURVE, sort=True)
        if column(curve, NEEDED[0]).notna().any()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _with_test_rise(cells: pd.DataFrame) -> pd.DataFrame:
    """Add the test error minus dense's in points; of trainings that failed too: they can be had."""
    dense = cells[(cells["method"] == DENSE) & (cells["sparsity"] == 0)]
    before = dense.set_index([*SETTING, "seed"])["test_error"].astype(float)
    own_dense = before.reindex(pd.MultiIndex.from_frame(cells[[*SETTING, "seed"]])).to_numpy()
    return cells.assign(test_rise=100 * (column(cells, "test_error") - own_dense))


def _row(cells: pd.DataFrame, tau: float, alpha: float) -> dict[str, object]:
    curve = cells.sort_values("sparsity")
    sparsities = curve["sparsity"].tolist()
    rises = (100 * column(curve, "val_rise")).tolist()
    tested = column(curve, "test_rise").tolist()
    ended = largest_tolerated(sparsities, _paired(curve), tau, alpha)
    halved = bisected(rises, tau)
    found = {
        "tolerance": tau, "alpha": alpha, "val_samples": column(curve, "val_samples").max(),
        "noisy_labels": bool(column(curve, "noisy_val_error").notna().any()),
        "val_bound": ended.bound, "next_p": ended.next_p,
    }  # fmt: skip
    return found | _ends(ended) | {
        "val_rise": _at(rises, ended.place), "test_rise": _at(tested, ended.place),
        "bisected_sparsity": sparsities[halved] if halved >= 0 else 0.0,
        "bisected_test_rise": _at(tested, halved),
    }  # fmt: skip


def _ends(ended: Tolerated) -> dict[str, object]:
    return {
        "sparsity": ended.sparsity, "ended": ended.ended, "next_sparsity": ended.next_sparsity,
        "samples_needed": ended.needed,
    }  # fmt: skip


def _at(values: list[float], place: int) -> float:
    """Return the value at a place of a curve; dense (-1) rises by 0."""
    return values[place] if place >= 0 else 0.0


def _paired(curve: pd.DataFrame) -> list[PairedErrors | None]:
    """Return what the tests need of each cell of a curve; None where it has no predictions."""
    binary = column(curve, "val_flips_to_wrong").notna()
    numbers = zip(*(column(curve, name) for name in NEEDED), binary, strict=True)
    return [
        None if pd.isna(rise) else PairedErrors(round(samples), rise, square, bool(exact))
        for samples, rise, square, exact in numbers
    ]
