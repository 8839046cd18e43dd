"""What compression really saves: verified sizes, measured times, quantization."""

from __future__ import annotations

import pandas as pd

from prunebench.report.document import embedded_figures
from prunebench.report.document.elements import NAME, NUMBER, Block, Points, Section, Table, Text
from prunebench.report.document.inputs import Material
from prunebench.report.style import NONE, number
from prunebench.report.tables import compression_tables
from prunebench.statistics.published_results import own
from prunebench.statistics.trade_offs import at_equal_bytes
from prunebench.storage.records import DENSE, VERIFIED
from prunebench.text import markup

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


def section(material: Material) -> Section | None:
    """What was verified and measured; None for records without any of it."""
    cells = own(material.cells)
    pruned = cells[cells["method"] != DENSE]
    if pruned["shrink"].isna().all() and pruned["bytes_compressed"].isna().all():
        return None
    blocks: list[Block] = [Text(CONVENTION), _saved(pruned)]
    times = compression_tables.read(material.layout.latency_csv)
    if times is not None:
        blocks += [_block(table, folded=True) for table in compression_tables.latency_tables(times)]
        if lacking := compression_tables.unmeasured(times):
            blocks.append(Points(tuple(lacking)))
    budgets = at_equal_bytes(material.cells)
    blocks.append(Text(compression_tables.verdict(budgets)))
    blocks += [_block(table) for table in compression_tables.ways_tables(budgets)]
    root = material.layout.root
    blocks += [
        embedded_figures.figure(path, root, material.captions)
        for stem in FIGURES
        for path in embedded_figures.of_stem(material.layout.figures, stem)
    ]
    return Section("What compression saves", "savings", blocks)


def _saved(pruned: pd.DataFrame) -> Table:
    """A row a method: how many cells shrank, and the means at the highest sparsity."""
    rows = []
    for name, cells in pruned.groupby("method", sort=True):
        outcomes = cells["shrink"].value_counts()
        others = [f"{n} {what}" for what, n in outcomes.items() if what != VERIFIED]
        highest = cells[cells["sparsity"] == cells["sparsity"].max()]
        mean = highest[list(SHOWN)].apply(_numbers).mean()
        rows.append(
            [
                str(name),
                f"{outcomes.get(VERIFIED, 0)} of {cells['shrink'].notna().sum()}",
                ", ".join(others) or NONE,
                *(
                    number(mean[column], digits) for column, digits in SHOWN.items()
                ),
                number(_ratio(highest), 1),
            ]
        )  # fmt: skip
    columns = {
        "Method": NAME, "Shrunk, verified": NUMBER, "Else": NAME, "Compression ratio": NUMBER,
        "Theoretical speed-up": NUMBER, "MACs, dense / shrunk": NUMBER,
        "Measured, batch of one": NUMBER, "Measured, large batch": NUMBER,
        "Bytes, dense / file": NUMBER,
    }  # fmt: skip
    caption = (
        "Cells that were shrunk and verified, and at each method's highest sparsity the means of"
        " what was promised and what was got."
    )
    return Table(columns, rows, caption)


def _ratio(cells: pd.DataFrame) -> float:
    return float((_numbers(cells["bytes_dense"]) / _numbers(cells["bytes_compressed"])).mean())


def _numbers(values: pd.Series) -> pd.Series:
    """As float64: a column without any value may be of any kind."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _block(table: markup.Table, folded: bool = False) -> Table:
    columns = {title: NUMBER if i else NAME for i, title in enumerate(table.header)}
    rows = [[str(cell) for cell in row] for row in table.rows]
    return Table(columns, rows, f"{table.title}: {table.caption}.", folded)
