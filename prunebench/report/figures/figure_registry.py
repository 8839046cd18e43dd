"""What a figure is, and how a file registers one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.report import style
from prunebench.report.figures.figure_context import Scene
from prunebench.statistics.published_results import own

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

TASK = "{task}"  # in a stem: one such figure a task
Draw = Callable[[pd.DataFrame, Scene], "Canvas | None"]


@dataclass(frozen=True)
class Figure:
    """A figure of the report. ``caption``: what it shows and how to read it, in sentences."""

    stem: str  # of its files, with {task} where each task has its own
    caption: str
    _draw: Draw
    whole: bool = False  # it is about all settings together: one alone is no part of it
    published: bool = False  # what others published stands in it, too

    def tables(self, cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """The stem and the cells of each file: all cells, or those of each task."""
        cells = cells if self.published else own(cells)
        if TASK not in self.stem:
            yield self.stem, cells
            return
        for task in sorted(cells["task"].unique()):
            yield self.stem.replace(TASK, plain(task)), cells[cells["task"] == task]

    def draw(
        self, cells: pd.DataFrame, scene: Scene, width: float = style.PAGE_WIDTH
    ) -> Canvas | None:
        """Draw it, in the style of all, at most ``width`` inches wide.

        None where the cells lack what it shows.
        """
        cells = cells if self.published else own(cells)
        if cells.empty:
            return None
        with styled(width):
            return self._draw(cells, scene)


def figure(
    stem: str, caption: str, whole: bool = False, published: bool = False
) -> Callable[[Draw], Figure]:
    """Register a function that draws cells, with the scene they are part of."""

    def made(draw: Draw) -> Figure:
        return Figure(stem, caption, draw, whole, published)

    return made


def plain(name: str) -> str:
    """``name`` as a part of a file name: what could be a path or a pattern becomes ``_``."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


@contextmanager
def styled(width: float = style.PAGE_WIDTH) -> Iterator[None]:
    """Draw with the style of all figures, whatever the caller's own is.

    ``width``: inches, the widest that a figure may be; ``panels.narrow`` reads it.
    """
    import matplotlib as mpl

    settings: Any = style.RC  # the stubs ask for literal keys
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        mpl.rcParams["figure.figsize"] = (width, width)
        yield
