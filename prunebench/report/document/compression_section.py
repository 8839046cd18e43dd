"""Compression in practice: verified sizes, measured times, quantization."""

from __future__ import annotations

import pandas as pd

from prunebench.report.document import figure_blocks
from prunebench.report.document.elements import (
    NAME,
    NUMBER,
    Block,
    ListBlock,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import compression_tables
from prunebench.statistics.published_results import own
from prunebench.statistics.trade_offs import at_equal_bytes
from prunebench.statistics.training_outcomes import column
from prunebench.storage.records import DENSE, VERIFIED
from prunebench.text.numbers import NONE, number

# columns with their digits
SHOWN = {
    "compression_ratio": 1, "theoretical_speedup": 2, "shrunk_speedup": 2, "measured_speedup": 2,
    "measured_speedup_batch": 2,
}  # fmt: skip
FIGURES = ("pareto", "speedup-measured", "quantization", "layers")
CONVENTION = (
    "One multiply-accumulate (MAC) is one multiplication and one addition. Compression ratio: all"
    " over kept weights; theoretical speed-up: dense over kept MACs (Blalock 2020). A mask alone"
    " saves neither bytes nor time: the sizes below are of files that can be read back bit for bit,"
    " the MACs of networks whose filters, heads and blocks were really removed and whose outputs"
    " were compared with the masked network's (at most 1e-4 of the largest apart)."
)


def sections(inputs: ReportInputs) -> list[Section]:
    """Return the section of what was verified and measured; [] for records without any of it."""
    cells = own(inputs.cells)
    pruned = cells[cells["method"] != DENSE]
    if pruned["shrink"].isna().all() and pruned["bytes_compressed"].isna().all():
        return []
    blocks: list[Block] = [TextBlock(CONVENTION), _savings(pruned)]
    times = compression_tables.read(inputs.layout.latency_csv)
    if times is not None:
        tables = compression_tables.latency_tables(times)
        blocks += [TableBlock.printed(table, folded=True) for table in tables]
        if lacking := compression_tables.unmeasured(times):
            blocks.append(ListBlock(tuple(lacking)))
    budgets = at_equal_bytes(inputs.cells)
    blocks.append(TextBlock(compression_tables.verdict(budgets)))
    blocks += map(TableBlock.printed, compression_tables.quantization_tables(budgets))
    blocks += [block for stem in FIGURES for block in figure_blocks.of_stem(inputs, stem)]
    return [Section("What compression saves", "savings", blocks)]


def _savings(pruned: pd.DataFrame) -> TableBlock:
    """Return a row a method: how many cells shrank, and the means at its highest sparsity."""
    rows = []
    for method, cells in pruned.groupby("method", sort=True):
        outcomes = cells["shrink"].value_counts()
        others = [f"{n} {what}" for what, n in outcomes.items() if what != VERIFIED]
        highest = cells[cells["sparsity"] == cells["sparsity"].max()]
        mean = {name: column(highest, name).mean() for name in SHOWN}
        rows.append(
            [
                str(method),
                f"{outcomes.get(VERIFIED, 0)} of {cells['shrink'].notna().sum()}",
                ", ".join(others) or NONE,
                *(
                    number(mean[name], digits) for name, digits in SHOWN.items()
                ),
                number(_ratio(highest), 1),
            ]
        )  # fmt: skip
    columns = {
        "Method": NAME, "Shrunk, verified": NUMBER, "Other outcomes": NAME,
        "Compression ratio": NUMBER, "Theoretical speed-up": NUMBER, "MACs, dense / shrunk": NUMBER,
        "Measured, batch of one": NUMBER, "Measured, large batch": NUMBER,
        "Bytes, dense / file": NUMBER,
    }  # fmt: skip
    caption = (
        "Cells that were shrunk and verified, and the mean promised and measured savings at each"
        " method's highest sparsity."
    )
    return TableBlock(columns, rows, caption)


def _ratio(cells: pd.DataFrame) -> float:
    return float((column(cells, "bytes_dense") / column(cells, "bytes_compressed")).mean())
