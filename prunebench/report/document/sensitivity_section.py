"""What each layer loses where it alone is pruned: figures and a table."""

from __future__ import annotations

import math
from collections.abc import Hashable

import pandas as pd

from prunebench.report.document import figure_blocks
from prunebench.report.document.elements import (
    NAME,
    NUMBER,
    Block,
    CellText,
    ListBlock,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import compression_tables
from prunebench.statistics.rises_of_layers import CURVE, refusals, rises
from prunebench.storage.records import SENSITIVITY_COLUMNS
from prunebench.text.numbers import NONE, number, percent, seeds_text

STEMS = ("sensitivity-map", "sensitivity-curves")
WORDS = (
    "One layer of the trained dense network at a time is pruned, and nothing is trained: by how"
    " many points its error on calibration samples rises above dense. Weights and MACs are those"
    " that go where all of the layer goes, filters with what reads them; the time is the layer's in"
    " the dense network. Losses of single layers do not add up, and training makes up for many of"
    " them: this says where not to prune, not how well a network does in the end."
)


def sections(inputs: ReportInputs) -> list[Section]:
    """Return the section; [] where no sensitivity was asked for."""
    table = compression_tables.read(inputs.layout.sensitivity_csv, SENSITIVITY_COLUMNS)
    if table is None:
        return []
    found = rises(table)
    blocks: list[Block] = [TextBlock(WORDS)]
    blocks += [block for stem in STEMS for block in figure_blocks.of_stem(inputs, stem)]
    blocks += [_table(curve, rows) for curve, rows in found.groupby(CURVE, sort=True)]
    if lacking := refusals(table):
        blocks.append(ListBlock(tuple(lacking)))
    return [Section("What each layer loses, pruned alone", "sensitivity", blocks)]


def _table(curve: tuple[Hashable, ...], rows: pd.DataFrame) -> TableBlock:
    sparsities = sorted(rows["sparsity"].unique())
    body: list[list[CellText]] = []
    for _, own in rows.groupby("place", sort=True):
        first, rise = own.iloc[0], own.set_index("sparsity")["error_rise"]
        body.append(
            [
                str(first["layer"]), f"{first['weights']:,.0f}", f"{first['macs']:,.0f}",
                _shown(first["ms"], 3), *(_shown(rise.get(s, math.nan), 1) for s in sparsities),
            ]
        )  # fmt: skip
    columns = {"Layer": NAME, "Weights": NUMBER, "MACs": NUMBER, "ms": NUMBER}
    columns |= {f"{percent(s)} gone": NUMBER for s in sparsities}
    caption = (
        f"{' / '.join(map(str, curve))}: rise of the error on calibration samples in points,"
        f" mean over {seeds_text(rows['seeds'])}."
    )
    return TableBlock(columns, body, caption, folded=True)


def _shown(value: float, digits: int) -> str:
    return NONE if math.isnan(value) else number(value, digits)
