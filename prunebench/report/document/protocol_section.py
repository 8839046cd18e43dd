"""The protocol in words: measures, comparisons, controls and statistics."""

from __future__ import annotations

from prunebench.experiment.training_gate import MEMORIZED_AT
from prunebench.report import reader_warnings
from prunebench.report.document.elements import (
    BAD,
    GOOD,
    OPEN,
    WORDS,
    Block,
    CellText,
    FactsBlock,
    ListBlock,
    Mark,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import DRAWS
from prunebench.statistics.hypotheses.paired_cells import CONTROL_KINDS, PairedCells
from prunebench.storage.records import COST, QUALITY, SIZE
from prunebench.text.numbers import NONE, percent

CONTROLS = {
    "random": "random pruning",
    "shuffled": "random weights with a criterion's shares of the layers (shuffled)",
    "dense-long": "the dense network trained as long (equal budget)",
    "early-stopping": "early stopping of the dense network",
    "tuned-weight-decay": "the dense network with tuned weight decay",
    "small-dense": "a small dense network with as many weights",
}


def section(inputs: ReportInputs) -> Section:
    """Return the section on what was measured and how it is judged."""
    blocks: list[Block] = [
        ListBlock(rules()),
        TextBlock("Measures in the records, by column of cells.csv:"),
        FactsBlock(_measured(inputs)),
        _controls(inputs.table),
        TextBlock("How it is judged:"),
        ListBlock(statistics(inputs)),
        TextBlock(reader_warnings.power(inputs)),
    ]
    return Section("The protocol", "protocol", blocks)


def rules() -> tuple[str, ...]:
    """Return the rules that make the comparison fair, each a sentence or more."""
    return (
        "Training, validation and test samples are disjoint. Choices are made on validation, and"
        " none on the test samples: these are predicted by the last network of every training and,"
        " where it was recorded, by the one at which validation would have stopped it.",
        "Every method prunes the same dense baselines; a difference is between two networks with"
        " the same seed.",
        "Every training is judged twice: at its end, and where early stopping on validation labels"
        " that carry the regime's noise would have ended it.",
        "Trained: a training came to its end where the error on the labels trained on is at most"
        f" {percent(MEMORIZED_AT)}, or where its loss can no longer fall; else the cell, dense or"
        " pruned, is under-trained, and a gain there may be one of training too short. A network"
        " that could have learned its labels and ends far from them has failed to train.",
        "A cell that failed, diverged, collapsed or failed to train leaves every comparison, with"
        " what it would be paired with; failures are counted, with their exact interval, beside the"
        " mean of those that trained.",
    )


def _measured(inputs: ReportInputs) -> dict[str, str]:
    """Return the measures of the record that hold values, and those that do not."""
    there = set(inputs.cells.columns[inputs.cells.notna().any()])
    groups = {"Quality": QUALITY, "Size": SIZE, "Cost": COST}
    found = {
        f"{name}, measured": ", ".join(column for column in columns if column in there) or NONE
        for name, columns in groups.items()
    }
    every = [column for columns in groups.values() for column in columns]
    lacking = [column for column in every if column not in there]
    found["Not measured, or of other kinds of tasks"] = ", ".join(lacking) or "nothing"
    return found


def _controls(table: PairedCells) -> TableBlock:
    """Return a row for each control of the protocol, with the methods that play its role."""
    rows: list[list[CellText]] = []
    for kind in CONTROL_KINDS:
        names = table.controls_of_kind(kind)
        absent = Mark("missing", BAD) if table.has_parts else Mark("cannot tell", OPEN)
        there = Mark("in this grid", GOOD) if names else absent
        rows.append([CONTROLS.get(kind, kind), there, ", ".join(names) or NONE])
    caption = "Controls, without which a gain proves nothing; recognized by their parts."
    return TableBlock({"Control": WORDS, "Status": WORDS, "Methods": WORDS}, rows, caption)


def family(inputs: ReportInputs) -> str:
    """Return the methods that Holm adjusts for, and who chose them."""
    names = [str(name) for name in inputs.scores.loc[inputs.scores["primary"], "method"]]
    how = "declared before the run" if inputs.analysis.primary else "all methods but the controls"
    return f"{', '.join(sorted(names)) or 'none'} ({how})"


def statistics(inputs: ReportInputs) -> tuple[str, ...]:
    """Return how the records are judged; each text begins with its subject and a colon."""
    analysis = inputs.analysis
    declared = "" if inputs.experiment else " (the default: the run's own settings are not known)"
    return (
        "Score: test error minus that of the dense baseline with the same seed, in percentage"
        " points, mean over log₂ of the compression ratio that was achieved (trapezoid), over the"
        " range that all methods but the controls reach; seeds are averaged within a cell, settings"
        " (task, regime, model) count equally."
        " Negative is better than dense.",
        "Gain, in the hypotheses: the same difference with the opposite sign, so that positive is"
        " better than dense, at the sparsity with the lowest mean validation error.",
        f"Interval: 95 %, bootstrap over seeds within each setting, {DRAWS:,} draws, the same for"
        " all methods, widened for few seeds. It covers seeds on these tasks; with 8 tasks or more,"
        " tasks are resampled too.",
        "Significance: exact sign-flip test over independent units, two-sided, Holm's correction"
        f" over the family; level {analysis.alpha:g}{declared}.",
        f"Family: {family(inputs)}.",
        f"Region of practical equivalence: ±{analysis.equivalence:g} points{declared}. Equivalent"
        " means that the whole interval lies inside; no difference shown is not equivalence.",
    )
