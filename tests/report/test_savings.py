"""Tables and figures of what compression buys, from made-up times and sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.report import figures
from prunebench.report.tables import compression_tables
from prunebench.statistics.trade_offs import at_equal_bytes
from prunebench.storage.layout import Layout
from prunebench.storage.records import LATENCY_COLUMNS, LAYER_COLUMNS

WHERE = {"task": "digits", "regime": "clean", "model": "seed-cnn", "seed": 0}
HOW = {"repeats": 9, "threads": 1, "device": "a processor"}


def times() -> pd.DataFrame:
    rows = [
        {**WHERE, **HOW, "method": "l1-filter", "sparsity": 0.5, "network": network,
         "engine": "eager", "batch": batch, "median_ms": ms, "low_ms": 0.9 * ms, "high_ms": 2 * ms}
        for batch in (1, 128)
        for network, ms in (("dense", 4 * batch), ("masked", 5 * batch), ("shrunk", 2 * batch))
    ]  # fmt: skip
    rows.append(
        {**WHERE, "method": "l1-filter", "sparsity": 0.5, "network": "dense",
         "engine": "semi-structured", "batch": 1, "message": "not measured on this hardware"}
    )  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(LATENCY_COLUMNS))


def layers(cells: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {**WHERE, "model": model, "method": method, "sparsity": sparsity, "layer": f"conv{i}",
         "place": i, "weights": 100 * (i + 1), "kept": int(100 * (i + 1) * (1 - sparsity)) + 1,
         "units": 10, "units_kept": 10 - i}
        for model in cells["model"].unique()
        for method in ("magnitude", "l1-filter")
        for sparsity in (0.5, 0.875)
        for i in range(4)
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(LAYER_COLUMNS))


def saved(cells: pd.DataFrame) -> pd.DataFrame:
    """The made-up cells with sizes and times of a plausible kind."""
    ratio = 1 / (1 - cells["sparsity"])
    filters = cells["method"].isin(["l1-filter", "apoz"])
    gain = ratio.where(filters, 1.0)
    return cells.assign(
        shrink=np.where(filters, "verified", "unchanged"),
        params_shrunk=1e5 / gain,
        macs_shrunk=1e6 / gain,
        shrunk_speedup=gain,
        bytes_compressed=4e5 / ratio,
        bytes_dense=4e5,
        bytes_onnx=4e5 / ratio,
        bytes_quantized=1.1e5 / ratio**0.8,
        quantized_error=cells["test_error"] + 0.01,
        latency_ms=2 / gain**0.5,
        latency_dense_ms=2.0,
        measured_speedup=gain**0.5,
        measured_speedup_batch=gain**0.9,
        theoretical_speedup=ratio,
    )


def test_speeds_by_hand() -> None:
    found = compression_tables.speeds(times()).set_index("batch")
    assert found["masked_speedup"].tolist() == [0.8, 0.8]
    assert found["shrunk_speedup"].tolist() == [2, 2]
    assert found.loc[128, "dense_ms"] == 512
    assert found.loc[1, "shrunk_low_ms"] == pytest.approx(1.8)


def test_a_table_of_times_names_what_it_stands_on() -> None:
    (table,) = compression_tables.latency_tables(times())
    assert "median [quartiles] of 9 runs" in table.caption
    assert "1 thread(s), a processor" in table.caption
    assert table.rows[0] == [
        "l1-filter", "50 %", "eager", "1", "4 [3.6, 8]", "5 [4.5, 10]", "2 [1.8, 4]",
        "0.80", "2.00",
    ]  # fmt: skip


def test_what_was_not_measured_is_said() -> None:
    assert compression_tables.unmeasured(times()) == [
        "not measured on this hardware (semi-structured, 1 times)."
    ]


def test_files_are_written_where_there_is_something(tmp_path: Path, cells: pd.DataFrame) -> None:
    layout = Layout(tmp_path)
    assert compression_tables.write(cells, layout) == []
    times().to_csv(layout.latency_csv, index=False)
    written = compression_tables.write(saved(cells), layout)
    assert {path.name for path in written} == {
        f"{name}.{kind}" for name in ("latency", "quantization") for kind in ("csv", "md", "tex")
    }
    text = (layout.tables / "quantization.md").read_text()
    assert "Prune, quantize or both at equal bytes" in text
    tidy = pd.read_csv(layout.tables / "latency.csv")
    assert tidy["shrunk_speedup"].tolist() == [2, 2]


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latency.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(PrunebenchError, match=r"latency\.csv lacks the column\(s\) task"):
        compression_tables.read(path)
    assert compression_tables.read(tmp_path / "none.csv") is None


def test_the_verdict_counts_budgets(cells: pd.DataFrame) -> None:
    assert "Nothing was quantized" in compression_tables.verdict(pd.DataFrame())
    budgets = at_equal_bytes(saved(cells))
    contested = budgets.groupby(["task", "regime", "model", "ratio"])["way"].nunique()
    assert f"over {(contested > 1).sum()} pairs" in compression_tables.verdict(budgets)


def test_figures_are_drawn_where_there_is_something(tmp_path: Path, cells: pd.DataFrame) -> None:
    made = saved(cells)
    stems = ("pareto", "speedup-measured", "quantization")
    for stem in stems:
        assert figures.draw(f"{stem}-{{task}}", made) is not None
        assert figures.draw(f"{stem}-{{task}}", cells) is None
    names = {path.name for path in figures.write(made, tmp_path, layers=layers(made))}
    assert {f"{stem}-digits.png" for stem in (*stems, "layers")} <= names
