"""Shrunk networks that an engine runs slower than dense: told where the quartiles are apart."""

from __future__ import annotations

import pandas as pd

from prunebench.report.slower_networks import sentences, slower

CELL = {"task": "digits", "regime": "clean", "model": "cnn", "method": "l1-filter", "seed": 0,
        "sparsity": 0.5}  # fmt: skip


def _time(network: str, engine: str, ms: float, spread: float = 0.1) -> dict[str, object]:
    ends = {"median_ms": ms, "low_ms": ms - spread, "high_ms": ms + spread}
    return {**CELL, "network": network, "engine": engine, "batch": 1, **ends}


def test_a_slower_network_is_told_with_its_macs() -> None:
    times = pd.DataFrame(
        [
            _time("dense", "onnxruntime", 8.3), _time("shrunk", "onnxruntime", 13.4),
            _time("dense", "eager", 4.0), _time("shrunk", "eager", 2.0),
            # slower by less than the times vary
            _time("dense", "compile", 4.0, 1.0), _time("shrunk", "compile", 4.5, 1.0),
        ]
    )  # fmt: skip
    cells = pd.DataFrame([{**CELL, "macs_dense": 2050, "macs_shrunk": 1000}])
    found = slower(times, cells)
    assert found["engine"].tolist() == ["onnxruntime"]
    [said] = sentences(times, cells)
    assert "l1-filter at 50 % in onnxruntime, batch 1: 13.4 against 8.3 ms" in said
    assert "2.05× fewer MACs" in said


def test_nothing_is_said_where_nothing_was_timed_or_all_are_faster() -> None:
    cells = pd.DataFrame([CELL])
    assert list(sentences(None, cells)) == []
    quick = pd.DataFrame([_time("dense", "eager", 4.0), _time("shrunk", "eager", 2.0)])
    assert list(sentences(quick, cells)) == []
