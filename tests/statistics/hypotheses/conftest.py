"""One hypothesis at a time, and the truths of the planted tables."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.statistics.hypotheses import Finding, hypotheses
from prunebench.statistics.hypotheses.paired_cells import pair_cells

Judge = Callable[..., Finding]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """``judge(number, cells, primary=[…])``: the finding of one hypothesis."""
    known = {each.number: each for each in hypotheses()}

    def one(number: int, cells: pd.DataFrame, **analysis: object) -> Finding:
        return known[number].find(pair_cells(cells, Analysis(**analysis)))

    return one
