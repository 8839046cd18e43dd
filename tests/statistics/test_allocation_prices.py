"""Errors at equal cost against numbers by hand, and the section that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prunebench.report import document as paper
from prunebench.report.document import allocation_section
from prunebench.report.document.elements import Document
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics.allocation_prices import against_fixed, at_equal_cost
from prunebench.storage.layout import Layout
from prunebench.storage.records import COLUMNS, row
from tests.messages import unsaid


def cell(method: str, allocation: str, kept: float, error: float, **more: Any) -> dict[str, Any]:
    return row(
        {
            "experiment": "e", "task": "t", "regime": "clean", "model": "m", "seed": 0,
            "method": method, "allocation": allocation, "status": "ok", "sparsity": 1 - kept,
            "criterion": "magnitude", "pattern": "weight", "schedule": "one-shot",
            "recovery": "none", "recovery_length": 1.0, "sparsity_achieved": 1 - kept,
            "test_error": error, "macs_dense": 100.0, "prune_seconds": 1.0,
            "search_evaluations": 0, "search_epochs": 0.0, **more,
        }
    )  # fmt: skip


def table() -> pd.DataFrame:
    """Two curves from 0.4 to 0.1 of the weights; of the MACs one keeps 0.8 to 0.2."""
    tried = {"search_evaluations": 50, "search_epochs": 2.5, "prune_seconds": 9.0}
    cells = [
        cell("a", "uniform", 0.4, 0.10, macs_kept=40.0),
        cell("a", "uniform", 0.1, 0.30, macs_kept=10.0),
        cell("b", "budgeted", 0.4, 0.10, macs_kept=80.0, **tried),
        cell("b", "budgeted", 0.1, 0.20, macs_kept=20.0, **tried),
        cell("half", "budgeted", 0.3, 0.15, macs_kept=50.0, budget_miss=0.0, **tried),
        cell("other", "erk", 0.4, 0.1, criterion="random"),  # nothing stands beside it
    ]
    return pd.DataFrame(cells, columns=list(COLUMNS))


def test_errors_at_equal_cost_by_hand() -> None:
    found = at_equal_cost(table()).set_index("method")
    assert set(found.index) == {"a", "b", "half"}
    # both reach 0.1 to 0.4: the means of straight lines are those of their ends
    assert found.loc["a", "weights"] == pytest.approx(0.20)
    assert found.loc["b", "weights"] == pytest.approx(0.15)
    # both keep 0.2 to 0.4 of the MACs: half of each line, its nearer half for a, its far for b
    assert found.loc["a", "MACs"] == pytest.approx((0.20 + 0.10) / 2)
    assert found.loc["b", "MACs"] == pytest.approx((0.15 + 0.20) / 2)
    assert found["time"].isna().all()  # none was measured
    assert np.isnan(found.loc["half", "weights"])
    assert list(found.loc["b", ["search_evaluations", "search_epochs", "prune_seconds"]]) == [
        50, 2.5, 9.0,
    ]  # fmt: skip


def seeds() -> pd.DataFrame:
    """Three allocations of two seeds, each with the same error at both shares."""
    tried = {"search_evaluations": 50, "search_epochs": 2.5}
    errors = {
        ("a", "uniform"): (0.20, 0.22), ("b", "erk"): (0.30, 0.30),
        ("c", "budgeted"): (0.15, 0.19), ("d", "random-allocation"): (0.10, 0.10),
    }  # fmt: skip
    return pd.DataFrame(
        [
            cell(method, allocation, kept, error, seed=seed, control=method == "d",
                 **(tried if method in "cd" else {}))
            for (method, allocation), own in errors.items()
            for seed, error in enumerate(own)
            for kept in (0.4, 0.1)
        ], columns=list(COLUMNS),
    )  # fmt: skip


def test_intervals_are_students_over_seeds() -> None:
    found = at_equal_cost(seeds()).set_index("method")
    assert found.loc["a", "weights"] == pytest.approx(0.21)
    # of one degree of freedom t is 12.7062; of two values the standard error is half their distance
    assert found.loc["a", "weights_low"] == pytest.approx(0.21 - 12.7062 * 0.01, abs=1e-5)
    assert found.loc["a", "weights_high"] == pytest.approx(0.21 + 12.7062 * 0.01, abs=1e-5)
    assert np.isnan(at_equal_cost(table()).set_index("method").loc["a", "weights_low"])


def test_what_tries_networks_is_held_against_the_best_that_tries_none() -> None:
    [row] = against_fixed(seeds()).to_dict("records")
    # d is a control: c is the best of what tries, a of what does not; −0.05 and −0.03 by seed
    assert (row["cost"], row["tried"], row["fixed"], row["seeds"]) == ("weights", "c", "a", 2)
    assert row["difference"] == pytest.approx(-0.04)
    assert row["difference_high"] == pytest.approx(-0.04 + 12.7062 * 0.01, abs=1e-5)
    assert against_fixed(table())["difference"].tolist() == pytest.approx([-0.05, 0.025])
    assert against_fixed(seeds().assign(search_evaluations=0)).empty


def inputs_of(cells: pd.DataFrame) -> ReportInputs:
    return ReportInputs(cells, Layout(Path("nowhere")), [], None, "")


def test_the_section_shows_errors_and_prices_where_anything_was_tried() -> None:
    [section] = allocation_section.sections(inputs_of(table()))
    text = " ".join(paper.markdown(Document("", "", [section])).split())
    assert "| b | budgeted | 15.00 | 17.50 |" in text
    assert "| 50 | 2.5 | 9.0 |" in text
    assert unsaid(text, "at equal weights", "b is best", "5.00 points less", "than a") == []
    assert "(one seed, no interval)" in text
    [section] = allocation_section.sections(inputs_of(seeds()))
    text = " ".join(paper.markdown(Document("", "", [section])).split())
    assert "errs 4.00 points less than a" in text
    assert "(95 % interval −16.71 to +8.71 over 2 seeds: not told apart)" in text
    assert "21.00 \\[8.29, 33.71]" in text or "21.00 [8.29, 33.71]" in text
    untried = table().assign(search_evaluations=0)
    assert allocation_section.sections(inputs_of(untried)) == []
    old = table().drop(columns=["search_evaluations", "search_epochs"])
    assert allocation_section.sections(inputs_of(old)) == []
