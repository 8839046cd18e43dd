"""Pareto fronts against every pair of points, and ways to shrink by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from prunebench.statistics.trade_offs import at_equal_bytes, pareto_front, small_networks
from prunebench.storage.records import COLUMNS

POINTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6) | st.just(float("nan"))), max_size=25
)


@given(POINTS)
def test_a_front_is_what_no_other_point_beats(points: list[tuple[float, float]]) -> None:
    costs, errors = (np.array([p[i] for p in points], dtype=float) for i in (0, 1))
    naive = [
        not np.isnan(e) and not any(c2 <= c and e2 <= e and (c2 < c or e2 < e) for c2, e2 in points)
        for c, e in points
    ]
    assert pareto_front(costs, errors).tolist() == naive


def table() -> pd.DataFrame:
    """Two seeds; dense of 1000 bytes, 300 in 8 bits; one method, pruned to two sizes."""
    rows = []
    for seed in (0, 1):
        shared = {
            "experiment": "e", "task": "t", "regime": "r", "model": "m", "seed": seed,
            "status": "ok", "classes": 10,
        }  # fmt: skip
        cells = (
            ("dense", 0.0, 0.10, 0.11, 1000, 0.12, 300),
            ("magnitude", 0.5, 0.10, 0.12, 480, 0.13, 160),
            ("magnitude", 0.9, 0.30, 0.31, 120, 0.40, 60),
            ("random", 0.5, 0.01, 0.01, 10, 0.01, 10),
        )
        for method, sparsity, val, error, size, eight, small in cells:
            rows.append(
                {
                    **shared, "method": method, "family": "weight", "sparsity": sparsity,
                    "control": method in ("dense", "random"), "val_error": val,
                    "test_error": error + 0.02 * seed, "bytes_onnx": size,
                    "quantized_error": eight, "bytes_quantized": small,
                }
            )  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def test_ways_by_hand() -> None:
    found = small_networks(table()).groupby(["way", "sparsity"])[["error", "bytes"]].mean().round(6)
    assert found.to_dict("index") == {
        ("both", 0.5): {"error": 0.13, "bytes": 160}, ("both", 0.9): {"error": 0.40, "bytes": 60},
        ("prune", 0.5): {"error": 0.13, "bytes": 480},
        ("prune", 0.9): {"error": 0.32, "bytes": 120},
        ("quantize", 0.0): {"error": 0.12, "bytes": 300},
    }  # fmt: skip


def test_equal_bytes_by_hand() -> None:
    found = at_equal_bytes(table()).set_index(["ratio", "way"])
    said = {key: (row["sparsity"], round(row["error_mean"], 6)) for key, row in found.iterrows()}
    assert said == {
        # 500 bytes: all three fit; validation chooses 50 % sparsity
        (2, "prune"): (0.5, 0.13), (2, "quantize"): (0.0, 0.12), (2, "both"): (0.5, 0.13),
        # 250 bytes: the quantized dense network does not
        (4, "prune"): (0.9, 0.32), (4, "both"): (0.5, 0.13),
        (8, "prune"): (0.9, 0.32), (8, "both"): (0.9, 0.40),
        (16, "both"): (0.9, 0.40),
    }  # fmt: skip
    assert found.index[found["first"]].tolist() == [
        (2, "quantize"), (4, "both"), (8, "prune"), (16, "both"),
    ]  # fmt: skip
    assert found.loc[(2, "prune"), "n"] == 2
    assert np.isclose(found.loc[(2, "prune"), "error_std"], np.std([0.12, 0.14], ddof=1))
    assert found.loc[(4, "both"), "budget"] == 250


def test_without_cells_in_eight_bits_there_is_nothing() -> None:
    cells = table().assign(bytes_quantized=np.nan)
    assert small_networks(cells).empty
    assert at_equal_bytes(cells).empty
