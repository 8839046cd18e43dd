"""How all figures look: fonts, sizes, colours, markers and dashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# matplotlib's settings; fonttype 42 embeds TrueType outlines, which publishers ask for
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.2,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "savefig.facecolor": "white",
}
DPI = 200
# inches, at which no letter is set smaller: the narrowest of the usual papers (ICML, CVPR)
COLUMN_WIDTH, PAGE_WIDTH = 3.25, 6.75  # one column of a paper, and both

# seaborn's "colorblind" without the yellow and the pink, which vanish on white
PALETTE = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#882255", "#ca9161",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "<", ">", "h", "p")
DASHES = ((), (5, 1.5), (1, 1), (4, 1, 1, 1), (7, 2), (3, 1), (5, 1, 1, 1, 1, 1))
DOTTED = (1, 1.3)
CONTROL_MARKERS = ("X", "o", "s", "^", "D", "v")
LEVEL_DASHES = ((), (6, 2), (1, 1.3), (5, 1.4, 1, 1.4), (9, 1.5, 1, 1.5, 1, 1.5), (3, 3))
CONTROL_COLOUR, BLACK, FAINT = "#6e6e6e", "#000000", "#c4c4c4"
BESIDE_COLOUR = "#9b9b9b"  # of named methods beside highlighted ones, with filled markers


@dataclass(frozen=True)
class LineStyle:
    """The look of a method's line; in grey print its marker and dashes alone tell it apart."""

    colour: str
    marker: str = ""
    dashes: tuple[float, ...] = ()
    width: float = 1.3
    fill: str | None = None  # of the marker; None: the colour

    @property
    def size(self) -> float:
        """The size of the marker, in points: a star needs more to be seen."""
        return float(8 if self.marker == "*" else RC["lines.markersize"])

    def line(self) -> dict[str, Any]:
        """Return keyword arguments for matplotlib's Line2D."""
        edge, face = (self.fill and self.colour) or "white", self.fill or self.colour
        return {
            "color": self.colour, "marker": self.marker, "dashes": self.dashes or (None, None),
            "linewidth": self.width, "markerfacecolor": face, "markeredgecolor": edge,
            "markeredgewidth": 0.8 if self.fill else 0.4,
        }  # fmt: skip


PLAIN = LineStyle("#4d4d4d", "o")  # of methods without a look of their own, where they are named
OTHER = LineStyle(FAINT, "o", width=0.6)  # and where they are not


def line_styles(
    methods: Sequence[str], controls: Iterable[str] = (), levels: Iterable[str] = (),
    published: Iterable[str] = (), beside: Iterable[str] = (),
) -> dict[str, LineStyle]:  # fmt: skip
    """Give every method a line style of its own.

    Args:
        methods: coloured, with filled markers.
        controls: grey, with hollow markers.
        levels: horizontal lines, black, told apart by their dashes; the first is solid.
        published: coloured and dotted, with hollow markers.
        beside: light grey, with filled markers: what highlighted methods are seen beside.

    Returns:
        The styles by name: levels, controls, methods, those beside them, published ones.
    """
    found = {
        name: LineStyle(BLACK, dashes=LEVEL_DASHES[i % len(LEVEL_DASHES)], width=1.1 if i else 1.4)
        for i, name in enumerate(levels)
    }
    for i, name in enumerate(controls):
        marker = CONTROL_MARKERS[i % len(CONTROL_MARKERS)]
        dashes = DASHES[(i + 2) % len(DASHES)]
        found[name] = LineStyle(CONTROL_COLOUR, marker, dashes, 1.1, fill="white")
    for i, name in enumerate(methods):
        marker, dashes = MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)]
        found[name] = LineStyle(PALETTE[i % len(PALETTE)], marker, dashes)
    for i, name in enumerate(beside, start=len(methods)):
        marker, dashes = MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)]
        found[name] = LineStyle(BESIDE_COLOUR, marker, dashes, 1.0)
    for i, name in enumerate(published, start=len(methods)):
        marker = MARKERS[i % len(MARKERS)]
        found[name] = LineStyle(PALETTE[i % len(PALETTE)], marker, DOTTED, 1.1, fill="white")
    return found
