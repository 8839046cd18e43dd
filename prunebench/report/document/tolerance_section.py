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
        f"The largest sparsity whose error is at most {_points(analysis.tolerance)} above dense:"
        " tested on validation from low to high sparsity up to the first that is not shown"
        " (fixed-sequence testing, Angelopoulos 2021). Each promise is wrong with a probability of"
        f" at most {analysis.alpha:g}, on labels like those of validation, for these networks. On"
        f" the test samples, which chose nothing, {over} of {plural(len(found), 'curve')} are"
        f" above the tolerance; of what bisection would have chosen, {halved}."
    )
    if found["noisy_labels"].any():
        words += (
            " Where validation labels are noisy, as those of training, so is what is promised: on"
            " clean labels, which the test rise is of, a rise is larger."
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
