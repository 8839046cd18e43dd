"""The answers: all verdicts at a glance, then each hypothesis with its figure and numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from prunebench.report.document import embedded_figures
from prunebench.report.document.elements import (
    BAD,
    EVEN,
    GOOD,
    NAME,
    NUMBER,
    OPEN,
    WORDS,
    Block,
    Cell,
    Mark,
    Points,
    Section,
    Table,
    Text,
)
from prunebench.report.document.inputs import Material
from prunebench.report.style import MINUS, NONE, number, percent
from prunebench.statistics import EQUIVALENT, SETTING, best_on_validation, smallest_p
from prunebench.statistics.hypotheses import NOT_SHOWN, SHOWN, UNTESTED, Finding
from prunebench.storage.records import DENSE

TONES = {SHOWN: GOOD, EQUIVALENT: EVEN, NOT_SHOWN: BAD, UNTESTED: OPEN}
LONGEST = 220  # signs of what the first table says of a hypothesis
FOLDED_FROM = 16  # rows of evidence
TITLES = {
    "scope": "Where", "method": "Method", "against": "Against", "measure": "Measure",
    "sparsity": "Sparsity", "value": "Value", "p": "p (Holm)", "decision": "Decision",
    "seeds": "Seeds", "settings": "Settings", "note": "Note",
}  # fmt: skip
NUMERIC = {"sparsity", "value", "p", "seeds", "settings"}


def anchor(finding: Finding) -> str:
    """Where a finding's section stands."""
    return f"hypothesis-{finding.number}"


def mark(finding: Finding) -> Mark:
    """The verdict, in words and in a tone."""
    return Mark(finding.verdict, TONES.get(finding.verdict, OPEN))


def sentences(text: str) -> list[str]:
    """A text's sentences; one at least. A method's name may begin one in small letters."""
    return re.split(r"(?<=\.)(?<!e\.g\.)\s+", text.strip())


def in_short(text: str) -> str:
    """The first sentence, cut at a colon or semicolon where it is long."""
    first = sentences(text)[0]
    if len(first) <= LONGEST:
        return first
    cuts = [first.find(": ", 60, LONGEST), first.rfind("; ", 60, LONGEST), first.rfind(" ", 60)]
    at = min(LONGEST, next((cut for cut in cuts if cut > 0), LONGEST))
    return f"{first[:at]} …"


def short(material: Material) -> Section:
    """The short answer: how many hypotheses hold, and which, one row each."""
    counts = Counter(finding.verdict for finding in material.findings)
    order = [*TONES, *(verdict for verdict in counts if verdict not in TONES)]
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])
    rows: list[list[Cell]] = [
        [
            Mark(f"{finding.number}. {finding.claim}", to=anchor(finding)),
            mark(finding),
            in_short(finding.sentence),
        ]
        for finding in material.findings
    ]
    columns = {"Hypothesis": WORDS, "Verdict": WORDS, "In a sentence": WORDS}
    blocks: list[Block] = [
        Text(f"Of {len(rows)} hypotheses: {said}. A verdict speaks of these records alone."),
        Table(columns, rows),
        *_chosen(material),
    ]
    return Section("The short answer", "answer", blocks)


def _chosen(material: Material) -> list[Block]:
    """What validation alone would choose in each setting, among all methods and controls."""
    cells = material.cells
    best = best_on_validation(cells, SETTING)
    if best.empty:
        return [Text("No validation errors were recorded, so no sparsity can be chosen.")]
    epochs = cells.reindex(columns=[*SETTING, "method", "sparsity", "train_epochs"])
    mean = epochs.groupby([*SETTING, "method", "sparsity"])["train_epochs"].mean()
    rows: list[list[Cell]] = []
    for *setting, method, sparsity, difference in best[
        [*SETTING, "method", "sparsity", "difference"]
    ].itertuples(index=False, name=None):
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
        "Which method, at which sparsity, at what cost: the lowest mean validation error in each"
        " setting, controls included, and its test error, read once chosen. Negative is better."
    )
    return [Table(columns, rows, caption)]


def sections(material: Material) -> list[Section]:
    """A section for each hypothesis, below a heading of their own."""
    words = (
        "Each with its claim, the verdict and why, the figure that shows it and the numbers it"
        " stands on. In figures and tables p is Holm-adjusted; a gain is positive where pruning is"
        " better than dense, a difference of errors negative."
    )
    shown: dict[str, Finding] = {}  # figure -> the first finding that shows it
    made = [Section("The hypotheses", "hypotheses", [Text(words)])]
    for finding in material.findings:
        first, *rest = sentences(finding.sentence)
        blocks: list[Block] = [Text(first), *([Points(tuple(rest))] if rest else [])]
        blocks += _seeds(finding, material.analysis.alpha)
        blocks += _figures(finding, material, shown)
        blocks += _evidence(finding)
        title = f"{finding.number}. {finding.claim}"
        made.append(Section(title, anchor(finding), blocks, 3, mark(finding)))
    return made


def _seeds(finding: Finding, alpha: float) -> list[Block]:
    """A warning where the seeds behind a finding are too few for any difference."""
    if "seeds" not in finding.evidence.columns or finding.evidence.empty:
        return []
    most = int(finding.evidence["seeds"].max())
    if smallest_p(most) <= alpha:
        return []
    count = f"{most} seed{'' if most == 1 else 's'}"
    return [
        Points(
            (
                f"{count.capitalize()} cannot show a difference: the smallest two-sided p is"
                f" {smallest_p(most):.3g}, above the level {alpha:g}.",
            ),
            warning=True,
        )
    ]


def _figures(finding: Finding, material: Material, shown: dict[str, Finding]) -> list[Block]:
    found = embedded_figures.of_stem(material.layout.figures, finding.figure)
    if not found:
        return [Text(f"Its figure, {finding.figure}, has not been drawn.")]
    first = shown.setdefault(finding.figure, finding)
    if first is not finding:
        return [Text(f"Its figure stands at hypothesis {first.number}.")]
    root = material.layout.root
    return [embedded_figures.figure(path, root, material.captions) for path in found]


def _evidence(finding: Finding) -> list[Block]:
    """The evidence with the columns that hold something; value and interval in words."""
    table = finding.evidence
    if table.empty:
        return []
    kept = [column for column in table.columns if column not in ("low", "high")]
    kept = [column for column in kept if not _blank(table[column])]
    columns: dict[str, str] = {}
    texts: list[Sequence[Cell]] = []
    for column in kept:
        title = TITLES.get(column, str(column).replace("_", " ").capitalize())
        columns[title] = NUMBER if column in NUMERIC else WORDS
        texts.append([_value(column, value) for value in table[column]])
        if column == "value" and {"low", "high"} <= set(table.columns):
            columns["95 % interval"] = NUMBER
            ends = zip(table["low"], table["high"], strict=True)
            texts.append([_ends(low, high) for low, high in ends])
    rows: list[list[Cell]] = [list(row) for row in zip(*texts, strict=True)]
    caption = f"Evidence: {len(rows)} comparison{'' if len(rows) == 1 else 's'}."
    return [Table(columns, rows, caption, folded=len(rows) >= FOLDED_FROM)]


def _blank(column: pd.Series) -> bool:
    return bool((column.isna() | (column.astype(str) == "")).all())


def _value(column: str, value: object) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return NONE if value is None else str(value) or NONE
    if column == "sparsity":
        return percent(value)
    if column == "p":
        return "< 0.001" if value < 0.001 else number(value, 3)
    return significant(value, sign=column == "value")


def significant(value: float, sign: bool = False) -> str:
    """Two digits after the point, or as many as show three that count; ``–`` for NaN."""
    size = abs(value)
    # what is left of a sum that is zero
    if isinstance(value, int) or math.isnan(value) or size < 1e-12:
        return number(value, 0, sign)
    digits = 1 if size >= 100 else 2 if size >= 0.1 else 2 - math.floor(math.log10(size))
    return number(value, digits, sign) if digits <= 6 else f"{value:.1e}".replace("-", MINUS)


def _ends(low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return NONE
    return f"[{significant(low, sign=True)}, {significant(high, sign=True)}]"
