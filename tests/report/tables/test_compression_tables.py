"""Tables of measured times and of quantization."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.report.tables import compression_tables
from prunebench.statistics.trade_offs import at_equal_bytes
from prunebench.storage.layout import Layout
from tests.report.made_up import saved, times


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
