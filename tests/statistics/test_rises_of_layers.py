"""Means over seeds of what a layer loses that is pruned alone, against numbers worked out here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.statistics.rises_of_layers import refusals, rises
from prunebench.storage.records import SENSITIVITY_COLUMNS

WHERE = {"task": "digits", "regime": "clean", "model": "net", "method": "magnitude"}


def row(seed: int, layer: str, place: int, loss: float, error: float, **changes) -> dict:
    return {
        **WHERE, "seed": seed, "sparsity": 0.5, "layer": layer, "place": place, "weights": 10,
        "macs": 40, "ms": 0.2 if seed == 0 else np.nan, "removed": 0.5, "loss": loss,
        "error": error, "dense_loss": 1.0, "dense_error": 0.1, "samples": 64, **changes,
    }  # fmt: skip


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=list(SENSITIVITY_COLUMNS))


def test_rises_are_above_dense_and_over_seeds() -> None:
    found = rises(
        table(
            row(0, "late.weight", 1, 1.5, 0.15), row(0, "early.weight", 0, 2.0, 0.2),
            row(1, "late.weight", 1, 1.7, 0.25), row(1, "early.weight", 0, 0.8, 0.1),
        )
    )  # fmt: skip
    assert found["layer"].tolist() == ["early.weight", "late.weight"]  # as in the network
    assert found["loss_rise"].to_numpy() == pytest.approx([(1.0 - 0.2) / 2, (0.5 + 0.7) / 2])
    assert found["error_rise"].to_numpy() == pytest.approx([5.0, 10.0])
    assert found["ms"].tolist() == [0.2, 0.2]  # of the seed that was timed
    assert found["seeds"].tolist() == [2, 2]


def test_a_network_that_cannot_be_pruned_is_told_once() -> None:
    said = {**WHERE, "method": "random-block", "message": "no block"}
    found = table(row(0, "a.weight", 0, 1.5, 0.2), {**said, "seed": 0}, {**said, "seed": 1})
    assert refusals(found) == ["random-block on net: no block"]
    assert rises(found)["method"].tolist() == ["magnitude"]
