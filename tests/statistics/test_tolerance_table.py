"""The table of tolerances: chosen on validation, the test beside it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from prunebench.statistics.tolerance import PairedErrors, upper_bound
from prunebench.statistics.tolerance_table import COLUMNS, tolerance_table

SAMPLES = 2000
SPARSITIES = (0.5, 0.8, 0.9)


@pytest.fixture
def cells(table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Method a stays within 2 points on validation up to 0.8, of test samples up to 0.5."""
    rises = {0.0: 0.0, 0.5: 0.0, 0.8: 0.005, 0.9: 0.1}
    tested = {0.0: 0.10, 0.5: 0.10, 0.8: 0.15, 0.9: 0.20}
    found = table(
        {
            "dense": {(0, 0.0): 0.10},
            "a": {(0, level): tested[level] for level in SPARSITIES},
            "b": {(0, level): 0.10 for level in SPARSITIES},
        }
    )
    rise = found["sparsity"].map(rises).where(found["method"] == "a", 0.0)
    changed = rise.where(rise > 0.02, 0.02)
    return found.assign(
        val_samples=SAMPLES, val_rise=rise, val_rise_square=changed,
        val_flips_to_wrong=(changed + rise) / 2, val_flips_to_right=(changed - rise) / 2,
    )  # fmt: skip


def test_a_row_a_curve(cells: pd.DataFrame) -> None:
    found = tolerance_table(cells, tau=2.0)
    assert tuple(found.columns) == COLUMNS
    a, b = found.to_dict("records")
    assert (a["method"], a["sparsity"], a["ended"], a["next_sparsity"]) == (
        "a", 0.8, "exceeded", 0.9,
    )  # fmt: skip
    assert a["val_bound"] == upper_bound(PairedErrors(SAMPLES, 0.005, 0.02, True))
    assert a["val_rise"] == pytest.approx(0.5)
    assert a["test_rise"] == pytest.approx(5)  # reported as it is
    assert (a["bisected_sparsity"], a["bisected_test_rise"]) == (0.8, pytest.approx(5))
    assert (b["sparsity"], b["ended"]) == (0.9, "shown")
    assert not a["noisy_labels"]


def test_what_validation_says_alone_chooses(cells: pd.DataFrame) -> None:
    other = cells.assign(test_error=cells["test_error"].to_numpy()[::-1])
    columns = ["sparsity", "val_bound", "ended"]
    pd.testing.assert_frame_equal(
        tolerance_table(cells, 2.0)[columns], tolerance_table(other, 2.0)[columns]
    )


def test_errors_that_are_no_counts_are_bet_against(cells: pd.DataFrame) -> None:
    values = cells.drop(columns=["val_flips_to_wrong", "val_flips_to_right"])
    a = tolerance_table(values, 2.0).iloc[0]
    assert a["val_bound"] == upper_bound(PairedErrors(SAMPLES, 0.005, 0.02, False))


def test_a_network_that_failed_ends_the_sequence(cells: pd.DataFrame) -> None:
    lost = (cells["method"] == "b") & (cells["sparsity"] == 0.8)
    numbers = ["test_error", *(name for name in cells.columns if name.startswith("val_"))]
    failed = cells.copy()
    failed.loc[lost, numbers] = None
    failed.loc[lost, "status"] = "failed"
    b = tolerance_table(failed, 2.0).iloc[1]
    assert (b["sparsity"], b["ended"], b["next_sparsity"]) == (0.5, "failed", 0.8)
    assert b["bisected_sparsity"] == 0.5


def test_a_network_that_failed_to_train_can_be_had_all_the_same(cells: pd.DataFrame) -> None:
    """It is left out of comparisons of methods; what is promised of it holds, and is tested."""
    outcome = cells["method"].map({"a": "failed-to-train"}).fillna("trained-out")
    a = tolerance_table(cells.assign(training_outcome=outcome), 2.0).iloc[0]
    assert (a["sparsity"], a["test_rise"]) == (0.8, pytest.approx(5))


def test_records_of_before_have_no_rows(small: pd.DataFrame) -> None:
    assert tolerance_table(small).empty
