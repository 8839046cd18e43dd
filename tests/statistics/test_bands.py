from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.statistics import bands


def test_bands_by_hand(small: pd.DataFrame) -> None:
    table = bands(small, ["test_error"]).set_index(["method", "sparsity"])
    row = table.loc[("a", 0.75)]
    assert row["test_error_mean"] == pytest.approx(0.25)
    assert row["test_error_std"] == pytest.approx(np.std([0.2, 0.3], ddof=1))
    assert row["test_error_high"] == pytest.approx(0.25 + 12.7062 * 0.05, abs=1e-5)
    assert (row["test_error_n"], row["nominal"]) == (2, 4)
    single = bands(small[small["seed"] == 0], ["test_error"])
    assert single["test_error_low"].isna().all()
