"""report.html and report.md: the question, the answers, and everything they stand on.

One document, set twice: ``compose`` makes it from the records, ``html`` and ``markdown`` set it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import declared_analysis
from prunebench.report.document import (
    answers_section,
    caveats_section,
    checklist,
    compression_section,
    embedded_figures,
    protocol_section,
    provenance_section,
    sanity_section,
    scores_section,
    setup_section,
)
from prunebench.report.document.elements import (
    BAD,
    GOOD,
    OPEN,
    WORDS,
    Block,
    Cell,
    Document,
    Mark,
    Points,
    Section,
    Table,
    Text,
)
from prunebench.report.document.inputs import Material
from prunebench.report.document.to_html import html
from prunebench.report.document.to_markdown import markdown
from prunebench.statistics.hypotheses import findings
from prunebench.statistics.published_results import own
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout

QUESTION = "Does pruning reduce overfitting, at which sparsity, by which method, at what cost?"
TONES = {checklist.FULFILLED: GOOD, checklist.NOT_FULFILLED: BAD, checklist.CANNOT_TELL: OPEN}


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write both files below ``layout.root``; return their paths.

    Works on cells alone; with config.json beside them as well, the run's own analysis settings
    count, and with figures/ the page shows those. Raises PrunebenchError for cells that
    ``statistics.check_cells`` refuses and for damaged figures.
    """
    document = compose(material_of(cells, layout))
    made = {"html": html(document, layout.root), "md": markdown(document)}
    for kind, text in made.items():
        write_text(layout.report(kind), text)
    return [layout.report(kind) for kind in made]


def material_of(cells: pd.DataFrame, layout: Layout) -> Material:
    """The records judged by the settings beside them, or by the defaults."""
    experiment, unread = declared_analysis.experiment(layout)
    analysis = Analysis() if experiment is None else experiment.analysis
    mine = own(cells)
    every = cells if len(mine) < len(cells) else None
    return Material(mine, layout, findings(mine, analysis), experiment, unread, every)


def compose(material: Material) -> Document:
    """The document, in the order in which it is read."""
    said = caveats_section.warnings(material)
    head = [Section("Before you believe it", "mind", [Points(tuple(said), warning=True)])]
    main = [
        answers_section.short(material),
        *(head if said else []),
        setup_section.section(material),
        protocol_section.section(material),
        sanity_section.section(material),
        *answers_section.sections(material),
        scores_section.section(material),
        *([saved] if (saved := compression_section.section(material)) else []),
        _checklist(material),
    ]
    return Document(
        f"Report: {material.cells['experiment'].iloc[0]}",
        QUESTION,
        [*main, *_further(material, main), provenance_section.section(material)],
    )


def _checklist(material: Material) -> Section:
    stems = frozenset(path.stem for path in material.layout.figures.glob("*.png"))
    answered = checklist.checklist(checklist.Records(material.cells, stems))
    rows: list[list[Cell]] = [
        [asks, Mark(answer.outcome, TONES[answer.outcome]), answer.why] for asks, answer in answered
    ]
    count = sum(answer.outcome == checklist.FULFILLED for _, answer in answered)
    words = (
        f"What the field asks of a paper on pruning (Blalock 2020), answered from these records:"
        f" {count} of {len(rows)} fulfilled."
    )
    columns = {"The checklist asks": WORDS, "Here": WORDS, "Why": WORDS}
    return Section("The checklist of the field", "checklist", [Text(words), Table(columns, rows)])


def _further(material: Material, main: list[Section]) -> list[Section]:
    """The figures of the folder that no section shows."""
    shown = {figure.path for figure in Document("", "", main).figures()}
    root = material.layout.root
    blocks: list[Block] = [
        embedded_figures.figure(path, root, material.captions)
        for path in embedded_figures.every(material.layout.figures)
        if str(path.relative_to(root)) not in shown
    ]
    return [Section("Further figures", "figures", blocks)] if blocks else []


__all__ = ["Material", "compose", "html", "markdown", "material_of", "write"]
