"""Whether automation pays: allocations at equal cost, and the price of finding them."""

from __future__ import annotations

import math
from typing import Any

from prunebench.report.document.elements import (
    NAME,
    NUMBER,
    CellText,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics.allocation_prices import COSTS, SHARED, at_equal_cost
from prunebench.statistics.cell_grid import SETTING
from prunebench.text.numbers import NONE, number

TITLE = "Does an allocation that is searched pay?"
WORDS = (
    "The methods of a group differ only in how the sparsity is spread over the layers. Test errors"
    " are means at equal numbers of kept weights, at equal MACs and at equal measured time, over"
    " the range that all methods of the group reach; a cell is empty where that was not measured or"
    " there is no such range. The last three columns are the price of choosing an allocation:"
    " networks tried on calibration data, the same in epochs of training data, and seconds, scoring"
    " included. A search pays only where its error is lower than that of the allocations that cost"
    " nothing, random ones among them."
)


def sections(inputs: ReportInputs) -> list[Section]:
    """Return the table of allocations; [] where no method tried any networks."""
    found = at_equal_cost(inputs.cells)
    tried = found[found["search_evaluations"] > 0]
    if tried.empty:
        return []
    group = [*SETTING, *SHARED]
    kept = found.merge(tried[group].drop_duplicates(), on=group)
    rows: list[list[CellText]] = [_row(row) for row in kept.to_dict("records")]
    columns = dict.fromkeys(
        ("Task", "Regime", "Model", "Criterion, pattern", "Method", "Allocation"), NAME
    )
    columns |= {f"Test error at equal {cost} (%)": NUMBER for cost in COSTS}
    columns |= dict.fromkeys(("Networks tried", "Epochs", "Seconds"), NUMBER)
    return [Section(TITLE, "allocations", [TextBlock(WORDS), TableBlock(columns, rows)])]


def _row(row: dict[Any, Any]) -> list[CellText]:
    return [
        *(str(row[axis]) for axis in SETTING), f"{row['criterion']}, {row['pattern']}",
        str(row["method"]), str(row["allocation"]),
        *(_shown(100 * row[cost], 2) for cost in COSTS),
        _shown(row["search_evaluations"], 0), _shown(row["search_epochs"], 1),
        _shown(row["prune_seconds"], 1),
    ]  # fmt: skip


def _shown(value: float, digits: int) -> str:
    return NONE if math.isnan(value) else number(value, digits)
