"""Building blocks of figures: a grid of panels, axes, the legend, curves with bands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prunebench.report.figures import style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.statistics.published_results import MARK
from prunebench.text.numbers import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

ACROSS = 3  # panels a row
WIDE = 3  # largest over smallest error from which on the axis is logarithmic
ERROR_TICKS = [d * 10.0**e for e in (-2, -1, 0, 1) for d in (1, 2, 5)] + [100.0]
COMPRESSION = "compression ratio (all / kept weights, log scale)"
LEGEND_SIZE = style.RC["legend.fontsize"]
# of a line of the legend and of a title, in inches
LINE, TITLE = 0.165, 0.2
HARD_SPACE = "\u00a0"  # at which a line breaks only where it must
LOW = 0.85  # of a panel's height, in one column of a paper
_LOST: dict[str, Any] = {
    "linestyle": "", "marker": "o", "markersize": 9, "markerfacecolor": "none",
    "markeredgecolor": "black", "markeredgewidth": 0.8, "zorder": 5,
}  # fmt: skip
LineStyles = Mapping[str, style.LineStyle]


class PanelGrid:
    """A figure of ``rows`` × ``across`` panels below a title, with one legend below all of them.

    In one column of a paper the panels stand below each other; ``panels`` keeps its shape.
    """

    def __init__(
        self, title: str, rows: int, across: int, styles: LineStyles, notes: Iterable[str] = (),
        height: float = 1.6, width: float | None = None, **subplots: Any,
    ) -> None:  # fmt: skip
        from matplotlib.figure import Figure

        self.across = 1 if narrow() else across
        height *= LOW if narrow() else 1
        lines = rows * across // self.across
        width = width or width_of(self.across)
        # beside a name in the legend, in letters: its line, and the space between two columns
        self.spaces = {"handlelength": 2.8, "columnspacing": 1.0} if narrow() else {
            "handlelength": 3.2, "columnspacing": 2.0}  # fmt: skip
        self.columns = legend_columns(styles, width, 0.47 if narrow() else 0.62)
        title = wrapped(title, int(10.5 * width))
        self.note = lines_of("\n".join(note for note in notes if note), width)
        below = -(-len(styles) // self.columns) + (self.note.count("\n") + 1 if self.note else 0)
        page = lines * height + TITLE * (title.count("\n") + 1) + 0.4 + LINE * below
        self.figure: Figure = Figure(figsize=(width, page), layout="constrained")
        self.figure.suptitle(title, fontweight="bold")
        drawn = self.figure.subplots(lines, self.across, squeeze=False, **subplots)
        self.panels = drawn.reshape(rows, across)
        self.lowest = list(drawn[-1])
        self.styles = styles

    def used(self, count: int) -> list[Axes]:
        """Return the first ``count`` panels and remove the others."""
        panels: list[Axes] = list(self.panels.flat)
        for axes in panels[count:]:
            axes.remove()
        for axes in panels[max(0, count - self.across) : count]:
            # with nothing below it, a panel has the labels of the shared axis
            axes.tick_params(labelbottom=True)
        self.lowest = panels[(count - 1) // self.across * self.across : count]
        return panels[:count]

    def wrap_titles(self) -> None:
        """Write the panels' titles in lines no wider than a panel, in a figure so much taller."""
        more = wrap_titles(list(self.panels.flat), self.figure.get_figwidth() / self.across)
        tall = self.figure.get_figheight() + TITLE * more * (self.panels.size // self.across)
        self.figure.set_figheight(tall)

    def finish(self, x_label: str = "") -> Figure:
        """Label the lowest panels with ``x_label``, draw the legend and return the figure."""
        from matplotlib.lines import Line2D

        width = self.figure.get_figwidth()
        for axes in self.lowest if x_label else ():
            axes.set_xlabel(balanced(x_label, int(13 * width / self.across)))
        self.wrap_titles()
        handles = [Line2D([], [], label=str(i)) for i in range(len(self.styles))]
        for handle, look in zip(handles, self.styles.values(), strict=True):
            handle.set(**_properties(look), markersize=look.size)
        legend = self.figure.legend(
            handles=handles, loc="outside lower center", title=self.note or None, **self.spaces,
            ncols=self.columns, title_fontsize=LEGEND_SIZE, alignment="center",
        )  # fmt: skip
        # set afterwards: matplotlib leaves out labels that begin with an underscore
        room = width - (0.47 if narrow() else 0.62) - 0.1
        for text, name in zip(legend.get_texts(), self.styles, strict=True):
            text.set_text(shortened(name, 72 * room, LEGEND_SIZE))
        return self.figure


def narrow() -> bool:
    """Return whether the figure is drawn for one column of a paper, as ``styled`` was told."""
    import matplotlib as mpl

    return float(mpl.rcParams["figure.figsize"][0]) < style.PAGE_WIDTH


def width_of(across: int) -> float:
    """Return the width in inches of a figure with ``across`` panels in a row."""
    return style.COLUMN_WIDTH if across == 1 or narrow() else style.PAGE_WIDTH


def lines_of(text: str, width: float) -> str:
    """Return a text in lines that fit ``width`` inches at the size of labels; it keeps its own."""
    return "\n".join(balanced(line, int(16.6 * width)) for line in text.splitlines())


def wrapped(text: str, most: int) -> str:
    """Return a text in lines of at most ``most`` letters; a name breaks only where it must."""
    if _longest(text) > most:
        text = text.replace(HARD_SPACE, " ")
    return fill(text, most, break_on_hyphens=_longest(text) > most)


def _longest(text: str) -> int:
    """Return the length of the longest word, as ``fill`` sees words."""
    return max(map(len, text.replace("\n", " ").split(" ")))


def balanced(text: str, most: int) -> str:
    """Return a text in as few lines of at most ``most`` letters as it needs, about equally long."""
    lines = wrapped(text, most).count("\n") + 1
    least = max(-(-len(text) // lines), min(_longest(text), most))
    shortest = next(n for n in range(least, most + 1) if wrapped(text, n).count("\n") < lines)
    return wrapped(text, shortest)


def shortened(name: str, room: float, size: float) -> str:
    """Return a name that takes at most ``room`` points: the middle of a longer one is left out.

    Args:
        name: the name.
        room: points, the width that is there.
        size: points, the size of the letters.
    """
    label, kept = name, len(name)
    while kept > 2 and (width := _width(label, size)) > room:
        kept = min(kept - 2, int(kept * room / width))
        half = max(1, (kept - 1) // 2)
        label = f"{name[:half]}…{name[-half:]}"
    return label


@cache
def _width(label: str, size: float) -> float:
    """Return the width of a text in points; the same names stand in many figures."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    prop = FontProperties(family=style.RC["font.family"])
    return float(TextPath((0, 0), label, size=size, prop=prop).get_extents().width)


def stand_out(labels: Iterable[Text], names: Iterable[str], context: FigureContext) -> None:
    """Write the labels of highlighted methods in bold.

    Args:
        labels: the labels of an axis.
        names: the methods that they name, in the same order.
        context: facts about all cells of the experiment.
    """
    for label, name in zip(labels, names, strict=True):
        if name in context.highlight:
            label.set_fontweight("bold")


def wrap_titles(panels: Iterable[Axes], width: float) -> int:
    """Write panels' titles in lines no wider than ``width`` inches.

    Returns:
        How many lines more than one the longest has.
    """
    more = 0
    for axes in panels:
        title = balanced(axes.get_title(), int(12 * width)) if axes.get_title() else ""
        axes.title.set_text(title)
        more = max(more, title.count("\n"))
    return more


def lay_out(figure: Figure) -> None:
    """Give the parts of a figure their places, without drawing it."""
    engine = figure.get_layout_engine()
    if engine is not None and figure.axes:
        with suppress(ValueError):  # as matplotlib does: then everything stays where it is
            engine.execute(figure)


def fit_height(figure: Figure, axes: Axes, height: float, lines: int = 1) -> None:
    """Make a figure as tall as its panels need, whatever text stands around them.

    Args:
        figure: the drawn figure.
        axes: one of its panels, all of which are alike.
        height: inches, of each panel.
        lines: of panels below each other.
    """
    lay_out(figure)
    now = axes.get_position().height * figure.get_figheight()
    figure.set_figheight(figure.get_figheight() + lines * (height - now))


def _properties(look: style.LineStyle) -> dict[str, Any]:
    wanted = look.line()
    dashes = wanted.pop("dashes")
    return {**wanted, "linestyle": (0, look.dashes) if look.dashes else "-"} if dashes else wanted


def legend_columns(names: Collection[str], width: float, beside: float) -> int:
    """Return how many names fit side by side at the legend's font size.

    Args:
        names: of the legend.
        width: inches of the figure.
        beside: inches that a name needs beside its letters.
    """
    longest = max(map(len, names), default=0)
    return max(1, min(6, len(names), int(width / (beside + 0.062 * longest))))


def legend_notes(rows: pd.DataFrame, context: FigureContext, *more: str) -> list[str]:
    """Return the legend's notes on bands, circles and thin lines.

    Args:
        rows: the bands that are drawn.
        context: facts about all cells of the experiment.
        more: further notes.
    """
    mine = rows[rows["published"].isna()]
    seeds = int((mine if len(mine) else rows)["cells"].max())
    said = [f"band: 95 % interval over {seeds} seeds" if seeds > 1 else "one seed, no band"]
    if len(mine) < len(rows):
        said.append(f"a name in brackets: {MARK}")
    if rows["failed"].sum():
        said.append("circled: some seeds failed or collapsed")
    if muted := len(set(rows["method"]) - set(context.styles)):
        said.append(f"thin grey: {plural(muted, 'other method')}")
    return ["; ".join([*said, *(text for text in more if text)])]


def with_others(styles: LineStyles, methods: Iterable[str]) -> dict[str, style.LineStyle]:
    """Return the looks of a legend, with one for all methods that have none: ``n other methods``.

    Args:
        styles: the looks by name.
        methods: those that are drawn.
    """
    count = len(set(methods) - set(styles))
    return {**styles} | ({plural(count, "other method"): style.OTHER} if count else {})


def styles_of(rows: pd.DataFrame, context: FigureContext) -> dict[str, style.LineStyle]:
    """Return the styles of the methods in ``rows`` that have one, in the legend's order."""
    there = set(rows["method"])
    return {name: look for name, look in context.styles.items() if name in there}


def curves(
    axes: Axes, rows: pd.DataFrame, column: str, styles: LineStyles, scale: float = 1,
    limits: tuple[float, float] = (-np.inf, np.inf), ratio: str = "compression_ratio",
) -> pd.DataFrame:  # fmt: skip
    """Draw one column of a panel's bands.

    A method with sparsity 0 alone becomes a line across the panel; a method without a style of its
    own becomes a thin grey curve, any other a curve with its band. Points where some seeds were
    lost are circled.

    Args:
        axes: the panel.
        rows: the bands of one setting.
        column: the column to draw.
        styles: the line styles by method.
        scale: factor of the values.
        limits: where bands are cut, after scaling.
        ratio: the column of the x axis.

    Returns:
        The points that were drawn, with ``ratio``, ``mean``, ``low`` and ``high``.
    """
    rows = rows.assign(
        ratio=rows[f"{ratio}_mean"].fillna(rows["nominal"]),
        **{end: rows[f"{column}_{end}"] * scale for end in ("mean", "low", "high")},
    )
    rows = rows[rows["mean"].notna()].sort_values(["method", "ratio"])
    rows[["low", "high"]] = rows[["low", "high"]].clip(*limits)
    highest = rows.groupby("method")["sparsity"].transform("max")
    for place, (_, level) in enumerate(rows[highest == 0].sort_values("cells").iterrows()):
        look = styles.get(str(level["method"]), style.LineStyle(style.FAINT, width=0.6))
        axes.axhline(
            level["mean"], color=look.colour, linewidth=look.width, zorder=1.6 + place / 99,
            dashes=look.dashes or (None, None),
        )  # fmt: skip
        if look.dashes == () and np.isfinite(level["low"]):
            axes.axhspan(level["low"], level["high"], color=look.colour, alpha=0.09, linewidth=0)
    for method, points in rows[highest > 0].groupby("method", sort=True):
        own = styles.get(str(method))
        if own is None:
            axes.plot(points["ratio"], points["mean"], color=style.FAINT, linewidth=0.6, zorder=1.3)
            continue
        axes.plot(points["ratio"], points["mean"], **own.line(), zorder=2 + (own.fill is None))
        banded = points[np.isfinite(points["low"])]
        if len(banded):
            axes.fill_between(
                banded["ratio"], banded["low"], banded["high"], color=own.colour,
                alpha=0.13 if own.fill is None else 0.07, linewidth=0, zorder=1,
            )  # fmt: skip
    lost = rows[(highest > 0) & (rows["failed"] > 0) & rows["method"].isin(list(styles))]
    if len(lost):
        axes.plot(lost["ratio"], lost["mean"], **_LOST)
    return rows


def ratio_axis(
    panels: Iterable[Axes], rows: pd.DataFrame, ratio: str = "compression_ratio", ticks: int = 5
) -> None:
    """Make the x axes log₂, alike in all panels, with ticks at powers of two written as 2×.

    Args:
        panels: the panels.
        rows: the bands of all panels.
        ratio: the column of the x axis.
        ticks: about how many ticks there are.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    moving = rows[rows["sparsity"] > 0]
    ratios = moving[f"{ratio}_mean"].fillna(moving["nominal"])
    least, most = (np.log2(ratios.min()), np.log2(ratios.max())) if len(ratios) else (0.0, 1.0)
    room = max(0.25, 0.04 * (most - least))
    step = max(1, int(np.ceil((most - least) / ticks)))
    powers = np.arange(-3, 24, step)
    # matplotlib makes each tick, also those beyond the axis
    seen = 2.0 ** powers[(powers >= least - room) & (powers <= most + room)]
    for axes in panels:
        axes.set_xscale("log", base=2)
        axes.set_xlim(2 ** (least - room), 2 ** (most + room))
        axes.xaxis.set_major_locator(FixedLocator(list(seen)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_minor_locator(NullLocator())


def value_axis(axes: Axes, rows: pd.DataFrame, wanted: Iterable[str]) -> None:
    """End a linear axis where the means of the ``wanted`` methods end.

    Bands and collapsed methods may leave the panel.
    """
    means = rows.loc[rows["method"].isin(list(wanted)), "mean"]
    if len(means):
        low, high = min(0.0, float(means.min())), max(0.0, float(means.max()))
        room = max(0.15 * (high - low), 0.5)
        axes.set_ylim(low - room, high + room)


def cost_axis(axis: Axis) -> None:
    """Make an axis of bytes, operations or times logarithmic, with plain numbers: 200, 0.5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def error_axes(panels: Sequence[tuple[Axes, pd.Series]]) -> bool:
    """Make the axes of errors in per cent of a figure alike: logarithmic where one spans a lot.

    On a linear axis a collapse to 70 % hides whether 4 % became 3.5 %. An error of 0 has no place
    on a logarithmic one.

    Args:
        panels: the panels, each with the errors that are drawn in it.

    Returns:
        Whether the axes are logarithmic.
    """
    ends = [(float(means.min()), float(means.max())) for _, means in panels if means.notna().any()]
    wide = any(high > WIDE * low for low, high in ends) and all(low > 0 for low, _ in ends)
    for axes, means in panels if wide else ():
        if means.notna().any():
            _logarithmic(axes, float(means.min()), float(means.max()))
    return wide


def _logarithmic(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axes.set_yscale("log")
    # bands may reach 0; the axis ends where the curves do
    bottom, top = 0.8 * low, max(min(105, 1.2 * high), high)
    axes.set_ylim(bottom, top)
    ticks = [tick for tick in ERROR_TICKS if bottom <= tick <= top]
    if len(ticks) < 3:  # a scale that is read from two numbers is a guess
        even = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
        ticks = [tick for tick in even.tick_values(bottom, top) if tick > 0]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def title_of(setting: tuple[str, str], settings: list[tuple[str, str]]) -> str:
    """Return the title of a panel: the regime, with the model where there are several models."""
    models = {model for _, model in settings}
    return " · ".join(setting) if len(models) > 1 else setting[0]


def place_of(rows: pd.DataFrame, settings: list[tuple[str, str]]) -> str:
    """Return the task of a figure, with the model where there is only one."""
    models = sorted({model for _, model in settings})
    between = f"{HARD_SPACE}·{HARD_SPACE}"
    return between.join([str(rows["task"].iloc[0]), *(models if len(models) == 1 else [])])


def grid_shape(settings: list[tuple[str, str]]) -> tuple[int, int]:
    """Return how many rows of panels there are and how many panels a row has, one for each setting.

    Each model has a row of its own where its regimes fit into it.
    """
    models = len({model for _, model in settings})
    each = len(settings) // models
    if each * models == len(settings) and each <= ACROSS:
        return models, each
    return -(-len(settings) // ACROSS), ACROSS


def rows_of(rows: pd.DataFrame, setting: tuple[str, str]) -> pd.DataFrame:
    """Return the rows of a setting (regime and model)."""
    return rows[(rows["regime"] == setting[0]) & (rows["model"] == setting[1])]
