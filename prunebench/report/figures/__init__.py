"""The figures, from cells alone, as PNG and PDF. Never torch.

A file of this folder is the registration of the figures that stand in it: ``write`` draws every
function marked with ``figure``, and leaves out those whose columns are empty. seaborn and
matplotlib take seconds to import, hence inside the functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import style
from prunebench.report.figures import figure_registry
from prunebench.report.figures.figure_context import Scene
from prunebench.report.figures.figure_registry import TASK, plain, styled
from prunebench.storage.files import replacing
from prunebench.storage.records import DENSE
from prunebench.text.progress_bars import watched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "pdf")
FOREST = "forest"
ERROR = "error-compression-{task}"

__all__ = [
    "ERROR", "FOREST", "KINDS", "TASK", "captions", "draw", "draw_forest", "figures", "plain",
    "save", "write",
]  # fmt: skip


def figures() -> dict[str, figure_registry.Figure]:
    """All figures of this folder's files by stem, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [v for m in modules for v in vars(m).values() if isinstance(v, figure_registry.Figure)]
    return {each.stem: each for each in sorted(found, key=lambda each: each.stem)}


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis | None = None,
    layers: pd.DataFrame | None = None,
) -> list[Path]:  # fmt: skip
    """Write every figure that has data into ``folder``; return the paths.

    ``<stem>.png`` and ``.pdf``, with the task's name in the stem of those that are drawn for each
    task. Raises PrunebenchError for cells that ``statistics.check_cells`` refuses.
    """
    scene = Scene.of(cells, analysis, layers=layers)
    written = []
    for each in watched(figures().values(), "figures"):
        for name, table in each.tables(scene.cells):
            drawn = each.draw(table, scene)
            if drawn is not None:
                written += save(drawn, folder, name)
    return written


def draw(
    stem: str, cells: pd.DataFrame, analysis: Analysis | None = None, baseline: str = DENSE
) -> Figure | None:
    """Draw one figure by its stem; of ``{task}`` figures that of the only task in ``cells``.

    None where the cells lack what it shows. Raises KeyError for a stem that is not there.
    """
    scene = Scene.of(cells, analysis, baseline)
    return figures()[stem].draw(scene.cells, scene)


def draw_forest(
    cells: pd.DataFrame, baseline: str = DENSE, analysis: Analysis | None = None
) -> Figure:
    """Scores with their intervals: over everything, and over each regime by itself.

    Raises ValueError for cells of the baseline alone.
    """
    drawn = draw(FOREST, cells, analysis, baseline)
    if drawn is None:
        raise ValueError("a forest needs a method beside the baseline")
    return drawn


def captions(cells: pd.DataFrame) -> dict[str, str]:
    """What each figure shows and how to read it, by the stem of its files."""
    return {name: each.caption for each in figures().values() for name, _ in each.tables(cells)}


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write PNG and PDF whole or not at all, without a date: same records, same bits."""
    paths = []
    for kind in KINDS:
        paths.append(folder / f"{name}.{kind}")
        metadata: dict[str, Any] = {"Software": None} if kind == "png" else {"CreationDate": None}
        with replacing(paths[-1]) as temporary, styled():
            figure.savefig(temporary, format=kind, dpi=style.DPI, metadata=metadata)
    return paths
