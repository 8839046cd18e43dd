"""tables/tolerance and the report's section: files, ranges over seeds, counts of how it ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.report.document import tolerance_section
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import tolerance_tables
from prunebench.storage.layout import Layout


@pytest.fixture(scope="module")
def paired(judged: pd.DataFrame) -> pd.DataFrame:
    """Dense and a method with what changed on validation: above 0.8 ten points are lost."""
    cells = judged[judged["method"].isin(["dense", "magnitude"])].copy()
    rise = np.where(cells["sparsity"] > 0.8, 0.1, 0.0)
    return cells.assign(
        val_samples=1000, val_rise=rise, val_rise_square=rise, val_flips_to_wrong=rise,
        val_flips_to_right=0.0,
    )  # fmt: skip


def test_files_and_texts(paired: pd.DataFrame, tmp_path: Path) -> None:
    written = tolerance_tables.write(paired, tmp_path, Analysis(tolerance=2.0))
    assert {path.name for path in written} == {f"tolerance.{k}" for k in ("csv", "md", "tex")}
    found = pd.read_csv(tmp_path / "tolerance.csv")
    assert set(found["tolerance"]) == {2.0}
    below = paired.loc[paired["sparsity"] <= 0.8, "sparsity"].max()
    assert set(found["sparsity"]) == {below}
    text = (tmp_path / "tolerance.md").read_text(encoding="utf-8")
    seeds = found["seed"].nunique()
    assert f"| {100 * below:.4g} |" in text.replace("  ", "")
    assert f"{seeds} exceeded" in text
    assert "confidence 95 % each" in text


def test_nothing_is_written_for_records_of_before(judged: pd.DataFrame, tmp_path: Path) -> None:
    assert tolerance_tables.write(judged, tmp_path, Analysis()) == []


def test_the_section_counts_what_the_test_samples_say(
    paired: pd.DataFrame, judged: pd.DataFrame, tmp_path: Path
) -> None:
    (section,) = tolerance_section.sections(ReportInputs(paired, Layout(tmp_path), [], None))
    found = tolerance_tables.tolerance_table(paired, 1.0, 0.05)
    over = (found["test_rise"] > 1).sum()
    assert f"{over} of {len(found)} curves are above the tolerance" in section.blocks[0].words
    assert len(section.blocks) == 1 + paired.groupby(["task", "regime", "model"]).ngroups
    assert tolerance_section.sections(ReportInputs(judged, Layout(tmp_path), [], None)) == []
