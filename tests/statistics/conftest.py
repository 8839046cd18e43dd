"""Small tables of cells that a hand can work out."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

Points = dict[str, dict[tuple[int, float], float]]


def table(points: Points, **fixed: str) -> pd.DataFrame:
    """Cells from ``{method: {(seed, sparsity): test error}}``; validation error is the same."""
    rows = [
        {
            "experiment": "e", "task": "t", "regime": "r", "model": "m", "method": method,
            "family": "dense" if method == "dense" else "weight", "seed": seed,
            "sparsity": sparsity, "status": "ok", "message": None, "test_error": error,
            "val_error": error, **fixed,
        }
        for method, cells in points.items()
        for (seed, sparsity), error in cells.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(name="table")
def _table() -> Callable[..., pd.DataFrame]:
    return table


@pytest.fixture
def small() -> pd.DataFrame:
    """Two seeds, sparsities at 1, 2 and 4 octaves."""
    return table(
        {
            "dense": {(0, 0.0): 0.30, (1, 0.0): 0.40},
            "a": {
                (0, 0.5): 0.30, (0, 0.75): 0.20, (0, 0.9375): 0.50,
                (1, 0.5): 0.38, (1, 0.75): 0.30, (1, 0.9375): 0.40,
            },
            "random": {
                (0, 0.5): 0.35, (0, 0.75): 0.35, (0, 0.9375): 0.35,
                (1, 0.5): 0.40, (1, 0.75): 0.40, (1, 0.9375): 0.40,
            },
        }
    )  # fmt: skip
