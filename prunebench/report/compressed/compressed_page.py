"""compress.html: one self-contained page in the manner of the report."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prunebench.report import error_names, figures
from prunebench.report.compressed import trade_off
from prunebench.report.document.elements import (
    GOOD,
    NAME,
    NUMBER,
    OPEN,
    WORDS,
    Block,
    CellText,
    CommandsBlock,
    Document,
    FactsBlock,
    FigureBlock,
    ListBlock,
    Mark,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.document.to_html import html
from prunebench.storage.files import replacing, write_text
from prunebench.storage.records import DENSE
from prunebench.text.numbers import number, percent

PAGE, FIGURE = "compress.html", "trade-off.png"
# of a budget: what each counts, in a word
UNITS = {"weights": "prunable weights", "macs": "MACs", "latency": "time of one input"}
_READ = (
    "Every point is one network. The line of a method joins its sparsities; the further to the"
    " left, the smaller. Controls are grey."
)
_TAKEN = (
    " The taken one is circled. Errors are of validation, by which was chosen; the test set is used"
    " once, for the networks before and after, above."
)


@dataclass(frozen=True)
class Outcome:
    """All that the page says."""

    title: str
    summary: str  # the line that the terminal shows
    before_after: Mapping[str, tuple[str, str, str]]  # what -> before, after, their difference
    reasons: Sequence[str]  # how it was chosen
    cells: pd.DataFrame  # of the search
    tried: pd.DataFrame  # those beside dense, with ``kept_<unit>`` and ``candidate``
    chosen: int | None  # row of ``tried``; None: none is what was asked for
    unit: str  # of the curve's axis
    share: float | None  # the budget
    files: Mapping[str, str]  # of the folder -> what is in it
    loader: str  # code that predicts with the first of them; "" where none was written
    notes: Sequence[str]  # what a reader must know
    again: str  # the command or call that made it


def write(outcome: Outcome, folder: Path) -> list[Path]:
    """Write the page and its figure; return their paths.

    Args:
        outcome: what was found.
        folder: of the output.
    """
    dense = outcome.cells[outcome.cells["method"] == DENSE].iloc[0]
    drawn = trade_off.draw(
        outcome.tried, f"kept_{outcome.unit}", UNITS[outcome.unit],
        dense_error=float(dense["val_error"]), chosen=outcome.chosen, share=outcome.share,
    )  # fmt: skip
    memory = io.BytesIO()
    named = figures.with_error_names(drawn, outcome.cells)
    named.savefig(memory, format="png", dpi=200, metadata={"Software": None})
    with replacing(folder / FIGURE) as temporary:
        temporary.write_bytes(memory.getvalue())
    page = html(document(outcome), folder)
    write_text(folder / PAGE, error_names.named(page, outcome.cells))
    return [folder / PAGE, folder / FIGURE]


def document(outcome: Outcome) -> Document:
    """Return the page as sections."""
    notes: list[Block] = [ListBlock(tuple(outcome.notes), warning=True)] if outcome.notes else []
    taken = outcome.chosen is not None
    read = _READ + (_TAKEN if taken else " Errors are of validation.")
    figure = FigureBlock(FIGURE, "Validation error over the share that is kept", read)
    reasons = ListBlock(tuple(outcome.reasons))
    first = (
        Section("Before and after", "before-after", [_before_after(outcome), *notes])
        if taken
        else Section("Why no network was taken", "chosen", [reasons, *notes])
    )
    loader: list[Block] = [CommandsBlock(tuple(outcome.loader.splitlines()))] if taken else []
    chosen = [Section("How it was chosen", "chosen", [reasons])] if taken else []
    use = "How to use it" if taken else "What is in the folder"
    return Document(
        outcome.title,
        outcome.summary,
        [
            first,
            Section("Trade-off", "trade-off", [figure]),
            *chosen,
            Section("What was tried", "tried", [TextBlock(_cost(outcome)), _trials(outcome)]),
            Section(use, "use", [FactsBlock(dict(outcome.files)), *loader]),
            Section("How it was made", "made", [CommandsBlock((outcome.again,))]),
        ],
    )


def _before_after(outcome: Outcome) -> TableBlock:
    return TableBlock(
        {"what": NAME, "before": NUMBER, "after": NUMBER, "difference": WORDS},
        [[what, *values] for what, values in outcome.before_after.items()],
    )


def _cost(outcome: Outcome) -> str:
    """What all of it cost, the baseline once."""
    cells = outcome.cells
    dense = cells[cells["method"] == DENSE].iloc[0]
    rest = cells[cells["method"] != DENSE]
    epochs, seconds = (
        float(dense[column]) + float((rest[column] - dense[column]).clip(lower=0).sum())
        for column in ("train_epochs", "train_seconds")
    )
    pruning = float(rest["prune_seconds"].sum())
    return (
        f"{len(rest)} networks beside the dense one: {_epochs(epochs)} of training in"
        f" {number(seconds, 0)} s, and {number(pruning, 0)} s of pruning."
    )


def _epochs(epochs: float) -> str:
    """Return a number of epochs, of which searches may take parts, as a reader wants it."""
    return f"{epochs:,.0f} epochs" if epochs >= 10 else f"{round(epochs, 1):g} epochs"


def _trials(outcome: Outcome) -> TableBlock:
    columns = {
        "method": NAME, "": WORDS, "weights kept": NUMBER,
        "MACs kept": NUMBER, "time kept": NUMBER, "validation error": NUMBER, "epochs": NUMBER,
        "seconds": NUMBER, "networks evaluated": NUMBER,
    }  # fmt: skip
    rows = [
        _row(row, place == outcome.chosen, outcome.cells) for place, row in outcome.tried.iterrows()
    ]
    return TableBlock(columns, rows)


def _row(row: pd.Series, taken: bool, cells: pd.DataFrame) -> list[CellText]:
    dense = cells[cells["method"] == DENSE].iloc[0]
    mark: CellText = "" if row["candidate"] else Mark(
        "control" if row["status"] == "ok" else str(row["status"]), OPEN
    )  # fmt: skip
    return [
        str(row["method"]),
        Mark("taken", GOOD) if taken else mark,
        *(percent(float(row[f"kept_{unit}"]), 1) for unit in UNITS),
        percent(float(row["val_error"])),
        number(float(row["train_epochs"] - dense["train_epochs"]), 0),
        number(float(row["train_seconds"] - dense["train_seconds"] + row["prune_seconds"]), 1),
        number(float(row.get("search_evaluations", 0) or 0), 0),
    ]
