"""The declaration of a figure, and the decorator by which a file registers one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.report.figures import style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.statistics.published_results import own
from prunebench.text.safe_names import file_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "{task}"  # in a stem: one such figure a task
Draw = Callable[[pd.DataFrame, FigureContext], "Figure | None"]


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report; its caption tells what it shows and how to read it."""

    stem: str  # of its files, with {task} where each task has its own
    caption: str
    _draw: Draw
    whole: bool = False  # it is about all settings together: one alone is no part of it
    published: bool = False  # what others published stands in it, too
    lengths: bool = False  # it shows all lengths of recovery, not only the longest

    def tables(self, cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the stem and the cells of each file: all cells, or those of each task."""
        cells = cells if self.published else own(cells)
        if TASK not in self.stem:
            yield self.stem, cells
            return
        for task in sorted(cells["task"].unique()):
            yield self.stem.replace(TASK, file_part(task)), cells[cells["task"] == task]

    def draw(
        self, cells: pd.DataFrame, context: FigureContext, width: float = style.PAGE_WIDTH
    ) -> Figure | None:
        """Draw the figure in the style of all figures.

        Args:
            cells: the cells to draw, out of those of the context.
            context: facts about all cells of the experiment.
            width: inches, the widest that the figure may be.

        Returns:
            The figure, or None where the cells lack what it shows.
        """
        cells = cells if self.published else own(cells)
        if not self.lengths:
            cells = cells[~cells["method"].isin(context.other_lengths)]
        if cells.empty:
            return None
        with styled(width):
            return self._draw(cells, context)


def figure(
    stem: str, caption: str, whole: bool = False, published: bool = False, lengths: bool = False
) -> Callable[[Draw], FigureSpec]:
    """Register a function as a figure.

    The function gets the cells to draw and the ``FigureContext`` of the whole experiment. It
    returns a matplotlib figure, or None where the cells lack what it shows.

    Args:
        stem: the stem of its files, with ``{task}`` where each task has its own.
        caption: what the figure shows and how to read it, in sentences.
        whole: it compares all settings, so that one setting alone makes no figure.
        published: published results are drawn in it too.
        lengths: methods at every length of recovery are drawn in it.
    """

    def registered(draw: Draw) -> FigureSpec:
        return FigureSpec(stem, caption, draw, whole, published, lengths)

    return registered


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python look for no garbage meanwhile: in a figure nothing is garbage until it is written.

    It would look through tens of thousands of objects again and again, an eighth of the time.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def styled(width: float = style.PAGE_WIDTH) -> Iterator[None]:
    """Draw with the style of all figures, whatever style the caller uses.

    Args:
        width: inches, the widest that a figure may be; ``panels.narrow`` reads it.
    """
    import matplotlib as mpl

    settings: Any = style.RC  # the stubs ask for literal keys
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        mpl.rcParams["figure.figsize"] = (width, width)
        yield
