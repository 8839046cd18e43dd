"""Did the networks train: baselines that did not fit their labels, cells that went wrong."""

from __future__ import annotations

import pandas as pd

from prunebench.report.document import figure_blocks
from prunebench.report.document.elements import (
    BAD,
    GOOD,
    NAME,
    NUMBER,
    WORDS,
    Block,
    CellText,
    Mark,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import training_tables
from prunebench.statistics import SETTING, under_trained
from prunebench.statistics.cells_table import flags
from prunebench.statistics.outcome_shares import outcome_shares
from prunebench.statistics.recovery_lengths import in_order
from prunebench.statistics.training_outcomes import outcomes, outcomes_recorded
from prunebench.storage.records import DENSE, OK, STATUSES, TRAINED_OUT
from prunebench.text.numbers import NONE, percent, plural

MESSAGES, LONGEST = 3, 160  # of a method's messages: how many are shown, and how much of each


def section(inputs: ReportInputs) -> Section:
    """Return the section on baselines and on cells that are not ok."""
    blocks = [_baselines(inputs.cells), *_outcomes(inputs), *_lost_cells(inputs)]
    return Section("Did the networks train?", "trainings", blocks)


def _baselines(cells: pd.DataFrame) -> TableBlock:
    dense = cells.assign(late=under_trained(cells), how=outcomes(cells))[cells["method"] == DENSE]
    wanted = [*SETTING, "late", "how", "augmentation", "train_error", "memorized", "test_error"]
    rows = []
    for setting, part in dense.reindex(columns=wanted).groupby(SETTING, sort=True):
        numbers = part[["train_error", "memorized", "test_error"]].astype("float64")
        rows.append(
            [
                *map(str, setting),
                percent(numbers["train_error"].max()),
                percent(numbers["memorized"].min(), 1),
                percent(numbers["test_error"].mean(), 1),
                _gate(part, bool(numbers["memorized"].notna().any())),
            ]
        )
    columns = {
        "Task": NAME, "Regime": NAME, "Model": NAME, "Worst training error": NUMBER,
        "Least memorized": NUMBER, "Mean test error": NUMBER, "Training": WORDS,
    }  # fmt: skip
    return TableBlock(
        columns, rows,
        "Dense baselines, over seeds. Training error is on the targets trained on; it may be at"
        " most 1 % under label noise and without augmentation. Memorized is the share of"
        " mislabelled training samples whose wrong target is reproduced.",
    )  # fmt: skip


def _gate(part: pd.DataFrame, noisy: bool) -> CellText:
    if (part["how"] != "").any():
        bad = part.loc[~part["how"].isin([TRAINED_OUT, ""]), "how"].value_counts().sort_index()
        said = ", ".join(f"{how}: {count} of {len(part)}" for how, count in bad.items())
        return Mark(said, BAD) if said else Mark("trained out", GOOD)
    late = int(part["late"].sum())
    if late:
        return Mark(f"under-trained: {late} of {len(part)}", BAD)
    plain = flags(part["augmentation"]).eq(False).any()
    return Mark("interpolated", GOOD) if noisy or plain else "clean and augmented: no limit"


def _outcomes(inputs: ReportInputs) -> list[Block]:
    """Return how the trainings of each method ended, over all settings, with its figure."""
    cells = inputs.cells
    if not outcomes_recorded(cells):
        return [
            TextBlock("How the trainings of pruned cells ended was not recorded; only the dense"
                      " baselines were judged.")
        ]  # fmt: skip
    found = outcome_shares(cells, ["method"])
    kinds = [kind for kind in training_tables.ENDS if found[kind].sum()]
    of = {row["method"]: row for row in found.to_dict("records")}
    rows = [
        [
            str(row["method"]), str(row["cells"]), *(str(row[kind]) for kind in kinds),
            training_tables.failed_share(row),
        ]
        for row in (of[name] for name in in_order(cells, list(of)))
    ]  # fmt: skip
    columns = {"Method": NAME, "Cells": NUMBER}
    columns |= {training_tables.ENDS[kind].capitalize(): NUMBER for kind in kinds}
    columns |= {"Failed, % [95 %]": NUMBER}
    caption = (
        "How trainings ended, of every cell over all settings; by setting in"
        f" {inputs.layout.tables.name}/{training_tables.OUTCOMES}.md. Trained out are those that"
        " know their labels (at most 1 % training error) and those on a plateau above it, whose"
        " loss no longer falls: too small to learn them. Under-trained: it still fell. Failed:"
        " failed to train or lost, with the exact interval of the share."
    )
    figures = figure_blocks.of_stem(inputs, training_tables.OUTCOMES)
    return [TableBlock(columns, rows, caption), *figures]


def _lost_cells(inputs: ReportInputs) -> list[Block]:
    cells, scores = inputs.cells, inputs.scores
    bad = cells[cells["status"] != OK]
    blocks: list[Block] = []
    if bad.empty:
        blocks.append(
            TextBlock(f"All {len(cells)} cells are ok: none failed, diverged or collapsed.")
        )
    else:
        statuses = [status for status in STATUSES if status != OK]
        rows: list[list[CellText]] = []
        for name, part in bad.groupby("method", sort=True):
            counts = part["status"].value_counts()
            total = int((cells["method"] == name).sum())
            shown = [str(int(counts.get(status, 0))) for status in statuses]
            rows.append([str(name), str(total), *shown, _messages(part)])
        columns = {
            "Method": NAME, "Cells": NUMBER, **dict.fromkeys(map(str.title, statuses), NUMBER),
            "Messages": WORDS,
        }  # fmt: skip
        blocks.append(TableBlock(columns, rows, f"{len(bad)} of {len(cells)} cells are not ok."))
    holes = scores.loc[scores["missing"] > 0, ["method", "missing"]]
    if len(holes):
        said = ", ".join(f"{name} ({count})" for name, count in holes.itertuples(index=False))
        blocks.append(
            TextBlock(
                f"Points of the grid without a record: {said}; these are ranked on the cells that"
                " they share."
            )
        )
    return blocks


def _messages(part: pd.DataFrame) -> str:
    """Return the most frequent messages, with how often each came."""
    if "message" not in part.columns or part["message"].dropna().empty:
        return NONE
    counts = part["message"].dropna().astype(str).value_counts().sort_index(kind="stable")
    counts = counts.sort_values(ascending=False, kind="stable")
    said = [f"{count}× {_shortened(text)}" for text, count in counts.head(MESSAGES).items()]
    rest = len(counts) - MESSAGES
    if rest > 0:
        said.append(f"and {plural(rest, 'other message')}")
    return "; ".join(said)


def _shortened(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
