"""Whether a gain lasts: test error along the length of recovery."""

from __future__ import annotations

from typing import Any

from prunebench.report.document import figure_blocks
from prunebench.report.document.elements import Block, ListBlock, Section, TextBlock
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.recovery_lengths import (
    POINT,
    compared,
    errors_by_length,
    lengths_of,
    sign_changes,
)
from prunebench.text.numbers import interval, listed, number, plural

TITLE = "Does a gain last when training goes on?"
MOST = 8  # changes of sign that are told one by one
ONE_LENGTH = (
    "Every method was run at one length of recovery alone. Whether a gain lasts when training goes"
    " on, these records do not say; recovery_lengths in the configuration asks for it."
)
NONE_COMPARED = (
    "No method that is compared with dense was run at several lengths of recovery, so that these"
    " records do not say whether its gain lasts. What was run at several is in the figure."
)


def section(inputs: ReportInputs) -> Section:
    """Return the figure of lengths, and in words every gain that changes its sign along them."""
    found = errors_by_length(inputs.cells)
    if found.empty:
        return Section(TITLE, "length", [TextBlock(ONE_LENGTH)])
    known = lengths_of(inputs.cells)
    judged = known.loc[known.index.isin(compared(inputs.cells, inputs.analysis.primary)), "base"]
    followed = found[found["base"].isin(set(judged)) & (found["sparsity"] > 0)]
    if followed.empty:
        return Section(TITLE, "length", [TextBlock(NONE_COMPARED), *_figure(inputs)])
    margin = inputs.analysis.equivalence
    changes = sign_changes(followed, margin)
    lengths = listed(f"{length:g}×" for length in sorted(found["length"].unique()))
    points = followed.drop_duplicates(POINT)
    begin = (
        f"{plural(followed['base'].nunique(), 'method')} at {lengths} the declared epochs,"
        f" {plural(len(points), 'point')} of a method, setting and sparsity."
    )
    if changes.empty:
        words = f"{begin} No gain of more than {margin:g} points turns into such a loss, or back."
        return Section(TITLE, "length", [TextBlock(words), *_figure(inputs)])
    sure = int(changes["sure"].sum())
    words = (
        f"{begin} At {len(changes)} of them the gain over dense changes its sign along the length,"
        f" from more than +{margin:g} to less than −{margin:g} points or back; at {sure} of these"
        " both 95 % intervals exclude 0. The largest changes:"
    )
    size = (changes["gain_last"] - changes["gain_first"]).abs()
    order = changes.assign(size=size).sort_values(["sure", "size"], ascending=False, kind="stable")
    told = [_row_in_words(row) for row in order.head(MOST).to_dict("records")]
    if len(changes) > MOST:
        told.append(f"and {len(changes) - MOST} more.")
    return Section(TITLE, "length", [TextBlock(words), ListBlock(tuple(told)), *_figure(inputs)])


def _figure(inputs: ReportInputs) -> list[Block]:
    return figure_blocks.of_stem(inputs, "error-length")


def _row_in_words(row: dict[Any, Any]) -> str:
    where = " · ".join(str(row[axis]) for axis in SETTING)
    first, last = (_end_in_words(row, end) for end in ("first", "last"))
    unsure = "" if row["sure"] else " (not beyond the intervals)"
    return f"{where}, {row['base']} at {row['ratio']:.3g}×: {first}, {last}{unsure}."


def _end_in_words(row: dict[Any, Any], end: str) -> str:
    under = int(row[f"under_{end}"])
    of = f" (under-trained: {under} of {plural(int(row[f'seeds_{end}']), 'seed')})" if under else ""
    ends = interval(row[f"gain_low_{end}"], row[f"gain_high_{end}"], 1)
    gain = number(row[f"gain_{end}"], 1, sign=True)
    return f"{gain} points {ends} at {row[f'length_{end}']:g}×{of}"
