"""The LaTeX kit of an experiment: numbers, sources, methods, figures, and an example paper.

``results/<experiment>/paper/`` holds macros.tex, methods.tex, measures.tex, methods.md with both,
methods.bib, figures/ for one column as PDF, and paper.tex, which shows how to use them and the
experiment's tables.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.report import declared_analysis, error_names, figures
from prunebench.report.figures import one_column
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.paper import (
    citations,
    example_paper,
    macros,
    methods_text,
    published_papers,
)
from prunebench.report.paper.methods_text import Paragraph
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import SETTING
from prunebench.statistics.published_results import own
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout

HEAD = "% Written by prunebench from config.json and cells.csv; needs methods.bib.\n"


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write the folder ``paper`` below ``layout.root``.

    The example includes those tables that are in ``layout.tables``.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        layout: the experiment's folder.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: the resolved configuration cannot be read, which the methods are written
            from, or ``statistics.check_cells`` refuses the cells.
    """
    experiment, unread = declared_analysis.experiment(layout)
    if experiment is None:
        raise PrunebenchError(f"{layout.root}: the methods are written from config.json: {unread}")
    folder = layout.paper
    inputs = ReportInputs(own(cells), layout, [], experiment)
    said = methods_text.paragraphs(inputs, experiment)
    numbers = macros.numbers(inputs)
    beside = declared_analysis.for_figures(layout)
    drawn = one_column.write(cells, folder / "figures", **beside)
    drawn += _page_wide_figure(inputs, folder / "figures")
    given = published_papers.entries(layout)
    if beside_own := published_papers.sentence(cells, given):
        said = [*said, Paragraph("Published results", beside_own)]
    measured = methods_text.measures(inputs)
    used = citations.cited("\n".join(each.text for each in [*said, measured]))
    made = {
        "macros.tex": macros.text(numbers),
        "methods.tex": HEAD + "\n\n".join(map(_latex, said)) + "\n",
        "measures.tex": f"{HEAD}{_latex(measured)}\n",
        "methods.md": "\n\n".join(map(_markdown, [*said, measured])) + "\n",
        "methods.bib": citations.bibliography(used, dict(given.values())),
        "paper.tex": example_paper.text(inputs, numbers, folder),
    }
    for name, text in made.items():
        write_text(folder / name, error_names.named(text, cells))
    return [*drawn, *(folder / name for name in made)]


def _page_wide_figure(inputs: ReportInputs, folder: Path) -> list[Path]:
    """Draw the example's figure that is as wide as a page."""
    highlight = inputs.experiment.report.highlight if inputs.experiment else []
    context = FigureContext.of(inputs.cells, inputs.analysis, highlight=highlight)
    setting = example_paper.setting_of(own(inputs.cells))
    here = (context.cells[SETTING] == list(setting)).all(axis=1)
    drawn = figures.figures()[example_paper.WIDE].draw(context.cells[here], context)
    if drawn is None:
        return []
    return one_column.save(drawn, inputs.cells, folder, example_paper.stems(setting)[1])


def _latex(paragraph: Paragraph) -> str:
    return (
        f"\\paragraph{{{citations.latex(paragraph.heading)}.}}\n{citations.latex(paragraph.text)}"
    )


def _markdown(paragraph: Paragraph) -> str:
    return f"**{citations.markdown(paragraph.heading)}.** {citations.markdown(paragraph.text)}"


__all__ = ["write"]
