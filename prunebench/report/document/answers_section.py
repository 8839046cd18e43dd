"""The answers: all verdicts in one table, then each hypothesis with its figure and numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from prunebench.report import verdict_words
from prunebench.report.document import figure_blocks, first_section
from prunebench.report.document.elements import (
    BAD,
    EVEN,
    GOOD,
    NAME,
    NUMBER,
    OPEN,
    WORDS,
    Block,
    CellText,
    ListBlock,
    Mark,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import EQUIVALENT, SETTING, best_on_validation, smallest_p
from prunebench.statistics.hypotheses import OPPOSITE, SHOWN, UNRESOLVED, UNTESTED, Finding
from prunebench.statistics.training_outcomes import column as numbers_of
from prunebench.storage.records import DENSE
from prunebench.text.numbers import (
    NONE,
    interval,
    number,
    p_value,
    percent,
    plural,
    significant,
)

TONES = {SHOWN: GOOD, OPPOSITE: BAD, EQUIVALENT: EVEN, UNRESOLVED: OPEN, UNTESTED: OPEN}
LONGEST = 220  # signs of what the first table says of a hypothesis
FOLDED_FROM = 16  # rows of evidence
TITLES = {
    "scope": "Where", "method": "Method", "against": "Against", "measure": "Measure",
    "sparsity": "Sparsity", "value": "Value", "p": "p (Holm)", "decision": "Decision",
    "seeds": "Seeds", "settings": "Settings", "units": "Units", "note": "Note",
}  # fmt: skip
SAME = ("measure", "against", "seeds", "settings", "units")  # said once where all rows agree
NUMERIC = {"sparsity", "value", "p", "seeds", "settings", "units"}


def anchor(finding: Finding) -> str:
    """Return the anchor of a finding's section."""
    return f"hypothesis-{finding.number}"


def mark(finding: Finding) -> Mark:
    """Return the verdict as a coloured mark."""
    return Mark(finding.verdict, TONES.get(finding.verdict, OPEN))


def sentences(text: str) -> list[str]:
    """Return a text's sentences, at least one; a method's name may begin one in lower case."""
    return re.split(r"(?<=\.)(?<!e\.g\.)\s+", text.strip())


def in_short(text: str) -> str:
    """Return the first sentence; a long one is cut at a colon or semicolon."""
    first = sentences(text)[0]
    if len(first) <= LONGEST:
        return first
    cuts = [first.find(": ", 60, LONGEST), first.rfind("; ", 60, LONGEST), first.rfind(" ", 60)]
    at = min(LONGEST, next((cut for cut in cuts if cut > 0), LONGEST))
    return f"{first[:at]} …"


def _verdicts_counted(inputs: ReportInputs) -> Section:
    """Return the section that counts the verdicts and names each in one row."""
    counts = Counter(finding.verdict for finding in inputs.findings)
    order = [*TONES, *(verdict for verdict in counts if verdict not in TONES)]
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])
    rows: list[list[CellText]] = [
        [
            Mark(f"{finding.number}. {finding.claim}", to=anchor(finding)),
            mark(finding),
            in_short(finding.sentence),
        ]
        for finding in inputs.findings
    ]
    columns = {"Hypothesis": WORDS, "Verdict": WORDS, "In a sentence": WORDS}
    blocks: list[Block] = [
        TextBlock(f"Of {len(rows)} hypotheses: {said}. A verdict holds for these records alone."),
        TableBlock(columns, rows),
        *_chosen(inputs),
    ]
    return Section("The verdicts", "verdicts", blocks)


def _chosen(inputs: ReportInputs) -> list[Block]:
    """Return the method that validation alone would choose in each setting, controls included."""
    cells = inputs.cells
    best = best_on_validation(cells, SETTING)
    if best.empty:
        why = "no validation errors were recorded"
        if numbers_of(cells, "val_error").notna().any():
            why = (
                "at each, half or more of the trainings had not come to their end, or failed: what"
                " validation would choose is training too short"
            )
        return [TextBlock(f"No sparsity can be chosen: {why}.")]
    epochs = cells.reindex(columns=[*SETTING, "method", "sparsity", "train_epochs"])
    mean = epochs.groupby([*SETTING, "method", "sparsity"])["train_epochs"].mean()
    rows: list[list[CellText]] = []
    for *setting, method, sparsity, difference, at_chance in best[
        [*SETTING, "method", "sparsity", "difference", "at_chance"]
    ].itertuples(index=False, name=None):
        if at_chance:
            rows.append([*map(str, setting), "none is better than chance", NONE, NONE, NONE])
            continue
        spent = mean.get((*setting, method, sparsity), math.nan)
        dense = mean.get((*setting, DENSE, 0.0), math.nan)
        rows.append(
            [
                *map(str, setting), str(method),
                percent(sparsity) if sparsity else "none",
                number(difference, 2, sign=True),
                number(spent / dense if dense else math.nan, 1),
            ]
        )  # fmt: skip
    columns = {
        "Task": NAME, "Regime": NAME, "Model": NAME, "Method": WORDS, "Sparsity": NUMBER,
        "Test error against dense (points)": NUMBER, "Training, times dense": NUMBER,
    }  # fmt: skip
    caption = (
        "The method and sparsity of the lowest mean validation error in each setting, controls"
        " included, with its test error and its cost. Negative is better."
    )
    return [TableBlock(columns, rows, caption)]


def sections(inputs: ReportInputs) -> list[Section]:
    """Return the verdicts, a heading for the hypotheses, and a section for each of them."""
    words = (
        "Each hypothesis has its verdict and the reason for it, its figure and its numbers. In"
        " figures and tables p is adjusted by Holm. Where pruning is better than dense, a gain is"
        " positive and a difference of errors negative."
    )
    shown: dict[str, Finding] = {}  # figure -> the first finding that shows it
    made = [_verdicts_counted(inputs), Section("The hypotheses", "hypotheses", [TextBlock(words)])]
    for finding in inputs.findings:
        first, *rest = sentences(finding.sentence)
        blocks: list[Block] = [TextBlock(first), *([ListBlock(tuple(rest))] if rest else [])]
        blocks += _seeds(finding, inputs.analysis.alpha)
        blocks += _figures(finding, inputs, shown)
        blocks += _evidence(finding, inputs.analysis.alpha)
        title = f"{finding.number}. {finding.claim}"
        made.append(Section(title, anchor(finding), blocks, 3, mark(finding)))
    return made


def _seeds(finding: Finding, alpha: float) -> list[Block]:
    """Return a warning where too few units stand behind a finding to show any difference."""
    if "units" not in finding.evidence.columns or finding.evidence.empty:
        return []
    most = int(finding.evidence["units"].max())
    unit = "seed" if most == finding.evidence["seeds"].max() else "independent unit"
    if smallest_p(most) <= alpha:
        return []
    return [
        ListBlock(
            (
                f"{plural(most, unit)} cannot show a difference: the smallest"
                f" two-sided p is {smallest_p(most):.3g}, above the level {alpha:g}.",
            ),
            warning=True,
        )
    ]


def _figures(finding: Finding, inputs: ReportInputs, shown: dict[str, Finding]) -> list[Block]:
    if finding.figure and finding.figure == first_section.picture(inputs):
        return [TextBlock("Its figure is the one at the top.")]
    found = figure_blocks.of_stem(inputs, finding.figure)
    if not found:
        # what these records lack has no figure, and the verdict says what that is
        drawn = inputs.layout.figures.is_dir()
        return [] if drawn else [TextBlock("Figures were not drawn: prunebench figures does.")]
    first = shown.setdefault(finding.figure, finding)
    if first is not finding:
        return [TextBlock(f"Its figure is shown at hypothesis {first.number}.")]
    return found


def _evidence(finding: Finding, alpha: float) -> list[Block]:
    """Return the evidence without its empty columns; values with their intervals.

    What is the same in all rows is said once, above the table.
    """
    table = finding.evidence
    if table.empty:
        return []
    kept = [column for column in table.columns if column not in ("low", "high")]
    kept = [column for column in kept if not _blank(table[column])]
    same = [column for column in SAME if column in kept and _one_value(table[column])]
    kept = [column for column in kept if column not in same]
    if {"decision", "low", "high"} <= set(table.columns):
        table = table.assign(decision=_decisions(table, alpha))
    columns: dict[str, str] = {}
    texts: list[Sequence[CellText]] = []
    for column in kept:
        title = TITLES.get(column, str(column).replace("_", " ").capitalize())
        columns[title] = NUMBER if column in NUMERIC else WORDS
        texts.append([_value(column, value) for value in table[column]])
        if column == "value" and {"low", "high"} <= set(table.columns):
            columns["95 % interval"] = NUMBER
            ends = zip(table["low"], table["high"], strict=True)
            texts.append([interval(low, high, digits=None) for low, high in ends])
    rows: list[list[CellText]] = [list(row) for row in zip(*texts, strict=True)]
    each = "".join(f"; {TITLES[c].lower()}: {_value(c, table[c].iloc[0])}" for c in same)
    caption = f"Evidence: {plural(len(rows), 'comparison')}{each}."
    return [TableBlock(columns, rows, caption, folded=len(rows) >= FOLDED_FROM)]


def _decisions(table: pd.DataFrame, alpha: float) -> list[str]:
    """Return the decisions in words that the intervals beside them do not contradict."""
    units = table["units"] if "units" in table.columns else pd.Series(math.nan, table.index)
    return [
        verdict_words.in_words(str(decision), low, high, pd.isna(n) or smallest_p(int(n)) <= alpha)
        for decision, low, high, n in zip(
            table["decision"], table["low"], table["high"], units, strict=True
        )
    ]


def _one_value(column: pd.Series) -> bool:
    return len(column) > 1 and column.nunique(dropna=False) == 1


def _blank(column: pd.Series) -> bool:
    return bool((column.isna() | (column.astype(str) == "")).all())


def _value(column: str, value: object) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return NONE if value is None else str(value) or NONE
    if column == "sparsity":
        return percent(value)
    if column == "p":
        return p_value(value)
    return significant(value, sign=column == "value")
