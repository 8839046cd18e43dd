"""report.html and report.md: the question, the answers, and everything they stand on.

One document, written twice: ``compose`` makes it from the records, ``html`` and ``markdown`` write
it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.report import error_names, reader_warnings
from prunebench.report.document import (
    allocation_section,
    answers_section,
    checklist,
    compression_section,
    figure_blocks,
    first_section,
    length_section,
    protocol_section,
    provenance_section,
    sanity_section,
    scores_section,
    sensitivity_section,
    setup_section,
    tolerance_section,
    two_by_two_section,
)
from prunebench.report.document.elements import Document, ListBlock, Section
from prunebench.report.document.to_html import html
from prunebench.report.document.to_markdown import markdown
from prunebench.report.report_inputs import ReportInputs
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout

QUESTION = "Does pruning reduce overfitting, at which sparsity, by which method, at what cost?"


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write report.html and report.md below ``layout.root``.

    The settings in config.json and the figures in figures/ are used where they are there.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        layout: the experiment's folder.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells, or a figure is damaged.
    """
    document = compose(ReportInputs.of(cells, layout))
    texts = {"html": html(document, layout.root), "md": markdown(document)}
    for kind, text in texts.items():
        write_text(layout.report(kind), text)
    return [layout.report(kind) for kind in texts]


def compose(inputs: ReportInputs) -> Document:
    """Return the report's sections, in the order in which they are read."""
    short, *hypotheses = answers_section.sections(inputs)
    sections = [
        first_section.section(inputs),
        short,
        *_warnings(inputs),
        two_by_two_section.section(inputs),
        length_section.section(inputs),
        setup_section.section(inputs),
        protocol_section.section(inputs),
        sanity_section.section(inputs),
        *hypotheses,
        scores_section.section(inputs),
        *tolerance_section.sections(inputs),
        *compression_section.sections(inputs),
        *allocation_section.sections(inputs),
        *sensitivity_section.sections(inputs),
        checklist.section(inputs),
    ]
    sections += figure_blocks.not_in(inputs, sections)
    sections.append(provenance_section.section(inputs))
    lead = " ".join(filter(None, (QUESTION, error_names.explained(inputs.cells))))
    document = Document(f"Report: {inputs.cells['experiment'].iloc[0]}", lead, sections)
    return error_names.all_named(document, inputs.cells)


def _warnings(inputs: ReportInputs) -> list[Section]:
    block = ListBlock(tuple(reader_warnings.of_report(inputs)), warning=True)
    return [Section("Caveats", "caveats", [block])] if block.items else []


__all__ = ["compose", "html", "markdown", "write"]
