"""How results look and read, everywhere the same: numbers, names, colours, markers, figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prunebench.records import DENSE

MINUS = "−"
NONE = "–"  # what stands where there is no value

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
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "savefig.facecolor": "white",
}
DPI = 200
PAGE_WIDTH = 7.2  # inches, across both columns of a paper

# seaborn's "colorblind" without its yellow, which vanishes on white; cycled with what follows
PALETTE = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#56b4e9",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "<", ">", "h", "p")
DASHES = ((), (5, 1.5), (1, 1), (4, 1, 1, 1), (7, 2), (3, 1), (5, 1, 1, 1, 1, 1))
RANDOM_COLOUR, DENSE_COLOUR = "#777777", "#000000"


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a method: each alone tells it apart in grey print."""

    colour: str
    marker: str
    dashes: tuple[float, ...]


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """Give each method its look, by its place in the alphabet; controls are grey and black."""
    named = sorted(set(methods) - {DENSE, "random"})
    found = {
        name: Look(PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, name in enumerate(named)
    }
    found["random"] = Look(RANDOM_COLOUR, "X", (2, 1.2))
    found[DENSE] = Look(DENSE_COLOUR, "", (6, 2))
    return {name: found[name] for name in sorted(methods, key=control_first)}


def control_first(method: str) -> tuple[int, str]:
    """Sort key: dense, random, then the alphabet."""
    return ({DENSE: 0, "random": 1}.get(method, 2), method)


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number to read: fixed digits, a true minus, ``–`` for none; never ``−0.00``."""
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """``[low, high]`` or ``–``."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return NONE
    return f"[{number(low, digits, sign=True)}, {number(high, digits, sign=True)}]"


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction as per cent with no more digits than it needs: 0.984375 is ``98.44 %``."""
    if math.isnan(fraction):
        return NONE
    return f"{round(100 * fraction, digits):g} %"


def mean_std(mean: float, std: float, digits: int = 1) -> str:
    """``mean ± std``, without the spread where there is one value only."""
    if math.isnan(mean) or math.isnan(std):
        return number(mean, digits)
    return f"{number(mean, digits)} ± {number(std, digits)}"


def seeds_text(counts: Iterable[float]) -> str:
    """``3 seeds``, or ``2 to 3 seeds`` where cells differ."""
    numbers = sorted({int(n) for n in counts if n > 0})
    if not numbers:
        return "0 seeds"
    span = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"{span} seed{'' if numbers == [1] else 's'}"
