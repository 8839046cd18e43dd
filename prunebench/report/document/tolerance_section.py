"""How much can be removed without losing more than the tolerance, and how sure that is."""

from __future__ import annotations

from prunebench.report.document.elements import (
    Block,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import tolerance_tables
from prunebench.statistics.tolerance import UNRESOLVED
from prunebench.statistics.tolerance_table import tolerance_table
from prunebench.text.numbers import plural


def sections(inputs: ReportInputs) -> list[Section]:
    """Return the section; [] for records that do not say which validation samples changed."""
    analysis = inputs.analysis
    found = tolerance_table(inputs.cells, analysis.tolerance, analysis.alpha)
    if found.empty:
        return []
    over, halved = (
        int((found[name] > analysis.tolerance).sum())
        for name in ("test_rise", "bisected_test_rise")
    )
    words = (
        "How much can be removed while the error stays within"
        f" {_points(analysis.tolerance)} of the dense network's. Sparsities are tested on"
        " validation, the lowest first, up to the first for which that is not shown (fixed-sequence"
        " testing, Angelopoulos 2021). So each promise is wrong with a probability of at most"
        f" {analysis.alpha:g}; it holds for these networks, on labels like those of validation. On"
        f" the test samples, which had no part in the choice, {over} of"
        f" {plural(len(found), 'curve')} are above the tolerance. Bisection, which does not test,"
        f" would have chosen {halved} that are."
    )
    if found["noisy_labels"].any():
        words += (
            " Where validation labels are as wrong as those of training, the promise is about such"
            " labels; on the clean labels of the test samples the error rises more."
        )
    unresolved = found[found["ended"] == UNRESOLVED]
    if len(unresolved):
        words += (
            f" {plural(len(unresolved), 'curve')} ended unresolved: validation is too small to"
            " tell, or the rise too close to the tolerance for any number of samples."
        )
    tables = tolerance_tables.tables(found)
    blocks: list[Block] = [TextBlock(words), *(TableBlock.printed(t, folded=True) for t in tables)]
    return [Section("How much can go within a tolerance", "tolerance", blocks)]


def _points(count: float) -> str:
    return f"{count:g} point{'' if count == 1 else 's'}"
