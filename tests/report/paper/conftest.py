"""A real experiment, read once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prunebench.report import declared_analysis
from prunebench.report.paper import macros
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import read_cells
from prunebench.storage.layout import Layout

REFERENCE = Path(__file__).parents[3] / "results" / "reference" / "default"


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    root = tmp_path_factory.mktemp("results") / "default"
    root.mkdir()
    for name in ("cells.csv", "config.json"):
        shutil.copy(REFERENCE / name, root)
    layout = Layout(root)
    experiment, unread = declared_analysis.experiment(layout)
    return ReportInputs(read_cells(layout.cells_csv), layout, [], experiment, unread)


@pytest.fixture(scope="session")
def numbers(inputs: ReportInputs) -> dict[str, str]:
    return macros.numbers(inputs)
