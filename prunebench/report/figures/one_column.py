"""The figures for one column of a paper: one setting each, their panels below each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import figures
from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import TASK, FigureSpec, uncollected
from prunebench.statistics import SETTING
from prunebench.text.safe_names import file_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis | None = None,
    layers: pd.DataFrame | None = None, sensitivity: pd.DataFrame | None = None,
    highlight: Sequence[str] = (),
) -> list[Path]:  # fmt: skip
    """Draw every figure that has data at the width of a column, as PDF.

    A figure that compares all settings keeps its stem. Any other is drawn for each setting, as
    ``<stem>-<regime>-<model>``, with the task before the regime where the stem does not hold it.
    Colours and markers are those of the wide figures; the titles are left to the captions.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        folder: where the files go.
        analysis: how the records are judged; None means the defaults.
        layers: the rows of layers.csv; None where there are none.
        sensitivity: the rows of sensitivity.csv; None where there are none.
        highlight: the methods that stand out.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    context = FigureContext.of(
        cells, analysis, layers=layers, sensitivity=sensitivity, highlight=highlight
    )
    written = []
    for each in figures.figures().values():
        for name, table in _tables(each, context.cells):
            with uncollected():
                drawn = each.draw(table, context, style.COLUMN_WIDTH)
                if drawn is not None:
                    written += save(drawn, context.cells, folder, name)
                del drawn  # to be collected now
    return written


def save(drawn: Figure, cells: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Write a figure for a paper: without its title, as PDF alone, which LaTeX includes.

    Args:
        drawn: the figure.
        cells: the records of the experiment.
        folder: where the file goes.
        name: the stem of the file.

    Returns:
        The path that was written.
    """
    named = figures.with_error_names(untitled(drawn), cells)
    return figures.save(named, folder, name, ("pdf",))


def untitled(drawn: Figure) -> Figure:
    """Return the figure without its title and without the space of the title."""
    lines = drawn.get_suptitle().count("\n") + 1
    drawn.suptitle("")
    drawn.set_figheight(drawn.get_figheight() - panels.TITLE * lines)
    return drawn


def stem_of(each: str, task: str, regime: str, model: str) -> str:
    """Return the name of the file of one setting.

    Args:
        each: the stem of the figure.
        task: the setting's task.
        regime: the setting's regime.
        model: the setting's model.
    """
    names = [regime, model] if TASK in each else [task, regime, model]
    return "-".join([each.replace(TASK, file_part(task)), *map(file_part, names)])


def _tables(each: FigureSpec, cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if each.whole:
        yield from each.tables(cells)
        return
    for setting, table in cells.groupby(SETTING, sort=True):
        yield stem_of(each.stem, *map(str, setting)), table
