"""The figures of an experiment, drawn from its cells alone, as PNG and PDF; never with torch.

The file is the registration: ``write`` draws every function of this folder that is marked with
``figure``, and skips figures whose columns are empty. seaborn and matplotlib take seconds to
import, so they are imported inside functions.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.errors import PrunebenchError, reason_of
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import Figure
from prunebench.experiment.settings import Analysis
from prunebench.report import error_names
from prunebench.report.figures import figure_registry, panels, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.figure_registry import TASK, styled, uncollected
from prunebench.storage.files import replacing
from prunebench.storage.records import DENSE
from prunebench.text.progress_bars import watched

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = ("png", "pdf")
FOREST = "forest"
ERROR = "error-compression-{task}"
GREY = "{grey}"  # in a caption: what is grey beside controls
# in a caption: the spread over seeds, with several of them and with one
SPREADS = {
    "{bands}": (", with 95 % bands over seeds", ""),
    "{Bands}": (" 95 % bands over seeds.", " One seed, so no bands."),
    "{Bars}": (" Bars: 95 % intervals over seeds.", " One seed, so no bars."),
}
LABEL = 30  # characters of a line that any axis has room for
_LAYOUT = ("GSUB", "GPOS", "GDEF", "kern")  # tables by which a program chooses and places glyphs

__all__ = [
    "ERROR", "FOREST", "KINDS", "TASK", "captions", "draw", "draw_forest", "figures", "save",
    "with_error_names", "write",
]  # fmt: skip


def own_figure(name: str) -> figure_registry.FigureSpec:
    """Return a figure of one's own, which a configuration names.

    Args:
        name: ``file.py:function``, ``module:function`` or an entry point.

    Raises:
        PrunebenchError: there is no such function.
    """
    spec = registry.find(Figure, name)
    stem = registry.part_name(spec.function)
    if stem in {each.replace(TASK, "") for each in figures()}:
        raise PrunebenchError(f"figure {name!r}: there is a figure {stem!r} already")
    return figure_registry.FigureSpec(
        f"{stem}-{TASK}" if spec.traits.per_task else stem,
        spec.traits.caption or spec.summary or stem,
        partial(_draw_own, spec),
    )


def _draw_own(
    spec: registry.Spec[Figure], cells: pd.DataFrame, context: FigureContext
) -> MatplotlibFigure | None:
    """Draw a figure of one's own; None, with a line that says why, where that fails.

    It gets tables of its own to change, and where it leaves the working directory this is put back.
    """
    from matplotlib.figure import Figure as Drawn

    here = Path.cwd()
    try:
        drawn = registry.load(spec)(*deepcopy((cells, context)))
    except Exception as error:  # whatever the user's own code may raise
        print(f"warning: figure {spec.name}: {reason_of(error)}", file=sys.stderr)
        return None
    finally:
        os.chdir(here)
    if drawn is None or isinstance(drawn, Drawn):
        return drawn
    what = f"must return a matplotlib figure or None, it returned a {type(drawn).__name__}"
    print(f"warning: figure {spec.name}: {what}", file=sys.stderr)
    return None


def figures(own: Iterable[str] = ()) -> dict[str, figure_registry.FigureSpec]:
    """Return all figures that the files of this folder register, by stem, in alphabetical order.

    Args:
        own: the names of figures of one's own, which come last.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [
        v for m in modules for v in vars(m).values() if isinstance(v, figure_registry.FigureSpec)
    ]
    found = [*sorted(found, key=lambda each: each.stem), *map(own_figure, own)]
    return {each.stem: each for each in found}


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis | None = None,
    layers: pd.DataFrame | None = None, sensitivity: pd.DataFrame | None = None,
    highlight: Sequence[str] = (), own: Iterable[str] = (),
) -> list[Path]:  # fmt: skip
    """Draw every figure that has data, as ``<stem>.png`` and ``<stem>.pdf``.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        folder: where the files go.
        analysis: how the records are judged; None means the defaults.
        layers: the rows of layers.csv; None where there are none.
        sensitivity: the rows of sensitivity.csv; None where there are none.
        highlight: the methods that stand out.
        own: the names of figures of one's own; one that fails is told, and the others are drawn.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    context = FigureContext.of(
        cells, analysis, layers=layers, sensitivity=sensitivity, highlight=highlight
    )
    written = []
    for each in watched(figures(own).values(), "figures"):
        for name, table in each.tables(context.cells):
            with uncollected():
                drawn = each.draw(table, context)
                if drawn is not None:
                    written += save(with_error_names(drawn, context.cells), folder, name)
                del drawn  # to be collected now
    return written


def draw(
    stem: str, cells: pd.DataFrame, analysis: Analysis | None = None, baseline: str = DENSE,
    highlight: Sequence[str] = (),
) -> MatplotlibFigure | None:  # fmt: skip
    """Draw one figure.

    Args:
        stem: the figure's stem, with ``{task}`` where each task has its own figure.
        cells: the records; of one task where the stem holds ``{task}``.
        analysis: how the records are judged; None means the defaults.
        baseline: the method that the others are compared with.
        highlight: the methods that stand out.

    Returns:
        The figure, or None where the cells lack what it shows.

    Raises:
        KeyError: there is no figure of this stem.
    """
    context = FigureContext.of(cells, analysis, baseline, highlight=highlight)
    return figures()[stem].draw(context.cells, context)


def draw_forest(
    cells: pd.DataFrame, baseline: str = DENSE, analysis: Analysis | None = None
) -> MatplotlibFigure:
    """Draw the scores with their intervals, over everything and over each regime.

    Args:
        cells: the records.
        baseline: the method that the others are compared with.
        analysis: how the records are judged; None means the defaults.

    Returns:
        The figure.

    Raises:
        ValueError: the cells hold the baseline alone.
    """
    drawn = draw(FOREST, cells, analysis, baseline)
    if drawn is None:
        raise ValueError("a forest needs a method beside the baseline")
    return drawn


def captions(
    cells: pd.DataFrame, own: Iterable[str] = (), highlight: Sequence[str] = ()
) -> dict[str, str]:
    """Return each figure's caption, by the stem of its files; of one's own without running them.

    Args:
        cells: the records.
        own: the names of figures of one's own.
        highlight: the methods that stand out, beside which others are grey.
    """
    known = figures(own).values()
    seeds = cells.groupby(["task", "regime", "model"])["seed"].nunique().max()
    said = {mark: texts[int(seeds < 2)] for mark, texts in SPREADS.items()}
    said[GREY] = " and methods that are not highlighted" if highlight else ""
    found: dict[str, str] = {}
    for each in known:
        caption = each.caption
        for mark, text in said.items():
            caption = caption.replace(mark, text)
        found |= {name: caption for name, _ in each.tables(cells)}
    return error_names.all_named(found, cells)


def with_error_names(figure: MatplotlibFigure, cells: pd.DataFrame) -> MatplotlibFigure:
    """Return a figure whose errors have the name of their kind of task."""
    from matplotlib.text import Text

    if error_names.traits_of(cells) is None:
        return figure
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        before = text.get_text()
        after = error_names.named(before, cells)
        if after != before:
            text.set_text(_as_wide(after, before))
    return figure


def _as_wide(text: str, before: str) -> str:
    """Return a text in lines no longer than those of the one whose place it takes, or a label."""
    widest = max(LABEL, *map(len, before.splitlines()))
    wrapper = textwrap.TextWrapper(widest, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) for line in text.splitlines())


def save(
    figure: MatplotlibFigure, folder: Path, name: str, kinds: Sequence[str] | None = None
) -> list[Path]:
    """Write a figure in each kind of file, without a date: the same records give the same bits.

    Args:
        figure: the drawn figure.
        folder: where the files go.
        name: the stem of the files.
        kinds: of ``KINDS``; None: all.

    Returns:
        The paths that were written.
    """
    paths = []
    with styled(), _fonts_without_layout():
        # once, at the resolution of the PNG: matplotlib would for each file, and draw it once more
        figure.set_dpi(style.DPI)
        panels.lay_out(figure)
        figure.set_layout_engine(None)
        for kind in KINDS if kinds is None else kinds:
            paths.append(folder / f"{name}.{kind}")
            without = {"png": "Software", "pdf": "CreationDate"}[kind]
            with replacing(paths[-1]) as temporary:
                figure.savefig(temporary, format=kind, dpi=style.DPI, metadata={without: None})
    return paths


@contextmanager
def _fonts_without_layout() -> Iterator[None]:
    """Embed fonts without their layout tables: in a PDF every glyph is placed already.

    To read these tables and to cut them down to the glyphs in use takes a third of the time of a
    PDF. matplotlib has no setting for it, so fontTools hands it fonts without them meanwhile.
    """
    from fontTools import subset

    load = subset.load_font

    def without_layout(*arguments: Any, **options: Any) -> Any:
        font = load(*arguments, **options)
        for tag in _LAYOUT:
            if tag in font:
                del font[tag]
        return font

    subset.load_font = without_layout
    try:
        yield
    finally:
        subset.load_font = load
