"""Every table of an experiment's ``tables/``, from its cells and what lies beside them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.report import declared_analysis
from prunebench.report.tables import (
    compression_tables,
    paper_tables,
    tolerance_tables,
    training_tables,
)
from prunebench.storage.layout import Layout


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write all tables and return their paths.

    Args:
        cells: the checked cells of the experiment, imported results included.
        layout: of its folder, whose latency.csv and config.json are read.
    """
    judged, mine = declared_analysis.analysis(layout), declared_analysis.highlighted(layout)
    return [
        *paper_tables.write(cells, layout.tables, judged, mine),
        *compression_tables.write(cells, layout),
        *training_tables.write(cells, layout.tables, judged, mine),
        *tolerance_tables.write(cells, layout.tables, judged),
    ]
