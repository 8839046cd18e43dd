"""The figures again for one column of a paper: a setting each, their panels below each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import figures, style
from prunebench.report.figures import panels
from prunebench.report.figures.figure_context import Scene
from prunebench.report.figures.figure_registry import TASK, Figure, plain
from prunebench.statistics import SETTING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis | None = None,
    layers: pd.DataFrame | None = None,
) -> list[Path]:  # fmt: skip
    """Write every figure that has data into ``folder``; return the paths.

    A figure of all settings together keeps its stem; of any other there is one for each setting,
    ``<stem>-<regime>-<model>``, with the task before the regime where its stem does not say it.
    Colours and marks are those of the page; titles are left to the captions.
    Raises PrunebenchError for cells that ``statistics.check_cells`` refuses.
    """
    scene = Scene.of(cells, analysis, layers=layers)
    written = []
    for each in figures.figures().values():
        for name, table in _tables(each, scene.cells):
            drawn = each.draw(table, scene, style.COLUMN_WIDTH)
            if drawn is not None:
                written += figures.save(untitled(drawn), folder, name)
    return written


def untitled(drawn: Canvas) -> Canvas:
    """Without its title, which in a paper the caption says, and without the title's place."""
    lines = drawn.get_suptitle().count("\n") + 1
    drawn.suptitle("")
    drawn.set_figheight(drawn.get_figheight() - panels.TITLE * lines)
    return drawn


def stem_of(each: str, task: str, regime: str, model: str) -> str:
    """The name of the file of a figure's stem for one setting."""
    names = [regime, model] if TASK in each else [task, regime, model]
    return "-".join([each.replace(TASK, plain(task)), *map(plain, names)])


def _tables(each: Figure, cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if each.whole:
        yield from each.tables(cells)
        return
    for setting, table in cells.groupby(SETTING, sort=True):
        yield stem_of(each.stem, *map(str, setting)), table
