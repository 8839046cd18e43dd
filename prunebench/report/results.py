"""The results of an experiment in Python: its cells, its figures, its leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.errors import PrunebenchError, suggest
from prunebench.report import declared_analysis, figures
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.leaderboard import ranking
from prunebench.statistics.published_results import own, read_all
from prunebench.storage.coordinates import coordinates_of_row
from prunebench.storage.files import read_json
from prunebench.storage.layout import HISTORY, Layout
from prunebench.text.numbers import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF_TASK = f"-{figures.TASK}"


@dataclass(frozen=True)
class Results:
    """What an experiment has found, read from its folder when it is asked for."""

    folder: Path

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every cell, a row each, with the columns of ``cells.csv``.

        Raises:
            PrunebenchError: the table is missing or damaged.
        """
        return read_all(self._layout)

    @cached_property
    def histories(self) -> pd.DataFrame:
        """What was noted in each epoch of each cell's last training, a row an epoch.

        ``task`` to ``sparsity`` say which cell it is; then ``epoch``, ``train_loss``, ``val_error``
        and, in a regime with wrong labels, ``noisy_val_error``, of validation labels as noisy.
        Empty where the folder has no ``cells/``, as a committed table.

        Raises:
            PrunebenchError: a file is damaged.
        """
        rows: list[dict[str, Any]] = []
        for values in own(self.cells).to_dict("records"):
            cell = coordinates_of_row(values)
            place = cell._replace(sparsity=float(values["sparsity"]))
            if (path := self._layout.cell(*place) / HISTORY).is_file():
                rows += [{**cell._asdict(), **epoch} for epoch in read_json(path)]
        return pd.DataFrame(rows)

    def leaderboard(self) -> pd.DataFrame:
        """Return the methods, best first, with the columns of ``leaderboard.csv``.

        Raises:
            PrunebenchError: the cells cannot be compared.
        """
        judged = declared_analysis.analysis(self._layout)
        rows = ranking.boards(self.cells, judged, [ranking.EVERYTHING])[ranking.EVERYTHING]
        return pd.DataFrame(rows, columns=list(ranking.KEYS))

    @cached_property
    def plots(self) -> list[str]:
        """The names of the figures that can be drawn of these results; to know, each is drawn."""
        context = self._context
        return sorted(
            stem.removesuffix(_OF_TASK)
            for stem, each in figures.figures().items()
            if any(each.draw(table, context) is not None for _, table in each.tables(context.cells))
        )

    def plot(self, name: str, task: str | None = None) -> Figure:
        """Draw a figure of the report.

        Args:
            name: one of ``plots``, e.g. ``error-compression``.
            task: of figures that each task has of its own: which, where there are several.

        Raises:
            PrunebenchError: there is no such figure or task, or the cells lack what it shows.
        """
        known = {stem.removesuffix(_OF_TASK): each for stem, each in figures.figures().items()}
        if name not in known:
            raise PrunebenchError(f"no figure {name!r}{suggest(name, known)}")
        context = self._context
        tables = [table for _, table in known[name].tables(context.cells)]
        if known[name].stem.endswith(_OF_TASK):
            tables = [_of_task(tables, task, name)]
        drawn = known[name].draw(tables[0], context)
        if drawn is None:
            raise PrunebenchError(f"figure {name!r}: these results lack what it shows")
        return figures.with_error_names(drawn, self.cells)

    @cached_property
    def _context(self) -> FigureContext:
        return FigureContext.of(self.cells, **declared_analysis.for_figures(self._layout))

    @property
    def _layout(self) -> Layout:
        return Layout(self.folder)

    def __repr__(self) -> str:
        """Return the folder and how many cells there are."""
        return f"Results({str(self.folder)!r}): {plural(len(self.cells), 'cell')}"


def _of_task(tables: list[pd.DataFrame], task: str | None, name: str) -> pd.DataFrame:
    found = {str(table["task"].iloc[0]): table for table in tables}
    if task is None and len(found) == 1:
        return tables[0]
    if task not in found:
        why = "give task=" if task is None else f"no task {task!r}"
        raise PrunebenchError(f"figure {name!r}: {why}{suggest(task or '', found)}")
    return found[task]


def load(folder: str | Path) -> Results:
    """Return the results of an experiment that was run before.

    Args:
        folder: of the experiment, e.g. ``results/default``.

    Raises:
        PrunebenchError: no table of cells is there, or it is damaged.
    """
    results = Results(Path(folder))
    _ = results.cells  # what is missing is told here, not at the first use
    return results
