"""Whether automation pays: allocations at equal cost, and the price of finding them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

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
from prunebench.statistics.allocation_prices import COSTS, SHARED, against_fixed, at_equal_cost
from prunebench.statistics.cell_grid import SETTING
from prunebench.text.numbers import NONE, number, plural

TITLE = "Does an allocation that is searched pay?"
WORDS = (
    "The methods of a group differ only in how the sparsity is spread over the layers. Test errors"
    " are means at equal numbers of kept weights, at equal MACs and at equal measured time, over"
    " the range that all methods of the group reach; a cell is empty where that was not measured or"
    " there is no such range. The last three columns are the price of choosing an allocation:"
    " networks tried on calibration data, the same in epochs of training data, and seconds, scoring"
    " included. A search pays only where its error is lower than that of the allocations that cost"
    " nothing, random ones among them. Intervals are Student's t"
    " over seeds; which method is best was found after the fact, on the same test samples."
)


def sections(inputs: ReportInputs) -> list[Section]:
    """Return the table of allocations; [] where no method tried any networks."""
    found = at_equal_cost(inputs.cells)
    tried = found[found["search_evaluations"] > 0]
    if tried.empty:
        return []
    group = [*SETTING, *SHARED]
    kept = found.merge(tried[group].drop_duplicates(), on=group)
    blocks: list[Block] = [TextBlock(WORDS)]
    if said := tuple(_verdict(row) for row in against_fixed(inputs.cells).to_dict("records")):
        blocks.append(ListBlock(said))
    blocks += [_table(key, rows) for key, rows in kept.groupby(group, sort=True)]
    return [Section(TITLE, "allocations", blocks)]


def _table(key: tuple[Any, ...], rows: pd.DataFrame) -> TableBlock:
    """Return the allocations of a group; what they share stands in the caption."""
    named = dict(zip([*SETTING, *SHARED], key, strict=True))
    columns = {"Method": NAME, "Allocation": NAME}
    columns |= {f"At equal {cost} (%)": NUMBER for cost in COSTS}
    columns |= dict.fromkeys(("Networks tried", "Epochs", "Seconds"), NUMBER)
    where = " / ".join(str(named[axis]) for axis in SETTING)
    caption = (
        f"{where}, {named['criterion']} of {named['pattern']}, {named['schedule']},"
        f" {named['recovery']}: test error at equal cost with its 95 % interval, and the price."
    )
    return TableBlock(columns, [_row(row) for row in rows.to_dict("records")], caption)


def _verdict(row: dict[Any, Any]) -> str:
    """Say how the best that tries networks does against the best that tries none."""
    where = " / ".join(str(row[axis]) for axis in SETTING)
    rise = 100 * row["difference"]
    side = f"{number(abs(rise), 2)} points {'more' if rise > 0 else 'less'} than"
    low, high = (100 * row[f"difference_{end}"] for end in ("low", "high"))
    if math.isnan(low):
        sure = "one seed, no interval"
    else:
        shown = "" if low > 0 or high < 0 else ": not told apart"
        ends = f"{number(low, 2, sign=True)} to {number(high, 2, sign=True)}"
        sure = f"95 % interval {ends} over {plural(row['seeds'], 'seed')}{shown}"
    return (
        f"{where}, {row['criterion']} of {row['pattern']}, at equal {row['cost']}: of what tries"
        f" networks {row['tried']} is best, and errs {side} {row['fixed']}, the best of what tries"
        f" none ({sure})."
    )


def _row(row: dict[Any, Any]) -> list[CellText]:
    return [
        str(row["method"]), str(row["allocation"]),
        *(_error(row, cost) for cost in COSTS),
        _shown(row["search_evaluations"], 0), _shown(row["search_epochs"], 1),
        _shown(row["prune_seconds"], 1),
    ]  # fmt: skip


def _error(row: dict[Any, Any], cost: str) -> str:
    middle, low, high = (100 * row[f"{cost}{end}"] for end in ("", "_low", "_high"))
    if math.isnan(low):
        return _shown(middle, 2)
    return f"{number(middle, 2)} [{number(low, 2)}, {number(high, 2)}]"


def _shown(value: float, digits: int) -> str:
    return NONE if math.isnan(value) else number(value, digits)
