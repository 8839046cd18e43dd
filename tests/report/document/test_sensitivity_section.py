"""The report's section of layers that are pruned alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.report.document import sensitivity_section
from prunebench.report.document.elements import FigureBlock, ListBlock, TableBlock
from prunebench.report.report_inputs import ReportInputs
from prunebench.storage.layout import Layout
from tests.report import made_up

CELLS = made_up.synthetic(1, broken=False)


def test_a_table_of_layers_with_what_they_take_and_lose(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "made-up")
    inputs = ReportInputs(CELLS, layout, [], None)
    assert sensitivity_section.sections(inputs) == []
    layout.figures.mkdir(parents=True)
    (layout.figures / "sensitivity-map-digits.png").touch()
    table = made_up.sensitivity(4)
    refused = {**made_up.WHERE, "method": "random-block", "message": "has no blocks"}
    table = pd.concat([table, pd.DataFrame([refused])])
    table.to_csv(layout.sensitivity_csv, index=False)
    [section] = sensitivity_section.sections(inputs)
    [figure] = [block for block in section.blocks if isinstance(block, FigureBlock)]
    assert figure.path == "figures/sensitivity-map-digits.png"
    [shown] = [block for block in section.blocks if isinstance(block, TableBlock)]
    assert list(shown.columns) == ["Layer", "Weights", "MACs", "ms", "50 % gone", "90 % gone"]
    # of layer 2 of 4 the error rises by the sparsity times a half
    assert shown.rows[2] == ["conv2.weight", "100", "4,000", "0.250", "25.0", "45.0"]
    assert shown.caption.startswith("digits / clean / seed-cnn / magnitude: ")
    [said] = [block for block in section.blocks if isinstance(block, ListBlock)]
    assert said.items == ("random-block on seed-cnn: has no blocks",)
