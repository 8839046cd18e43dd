"""Figures of few and of many methods and regimes: no text lies over another or leaves the page.

Warnings are errors here, those of the layout too. The statistics are made up, so that drawing is
all that takes time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from prunebench.report import figures
from prunebench.report.figures import panels, style
from prunebench.report.figures.figure_context import EVERYTHING, FigureContext
from prunebench.storage.records import ALL
from tests.report.figures.layout import faults

SHORT, LONG = "", "-of-a-long-name-that-nobody-would-type-twice"
FEW_AND_MANY = [
    (1, 1, SHORT), (1, 6, LONG), (4, 1, LONG), (5, 2, SHORT), (40, 1, SHORT),
]  # fmt: skip
STATISTICS = ("score", "low", "high", "chosen", "chosen_low", "chosen_high", "stopped_score",
              "stopped_low", "stopped_high")  # fmt: skip


def _context(
    methods: int, regimes: int, word: str = SHORT, highlight: Sequence[str] = ()
) -> FigureContext:
    """Return a context of made-up cells, whose scores and phases are not computed."""
    names = ["dense", "random", *(f"m{i:02d}{word}" for i in range(methods))]
    rows = [
        {"experiment": "x", "task": "digits", "regime": f"r{regime}{word}", "model": "seed-cnn",
         "method": name, "family": "weight", "seed": seed, "sparsity": sparsity, "status": "ok",
         "compression_ratio": 1 / (1 - sparsity), "control": name in names[:2],
         "test_error": 0.1 + 0.05 * regime + 0.1 * sparsity + 0.003 * seed, "params_total": 1000,
         "params_kept": 1000 * (1 - sparsity), "training_outcome": "trained-out"}
        for regime in range(regimes) for name in names for seed in (0, 1)
        for sparsity in ([0.0] if name == "dense" else [0.5, 0.9])
    ]  # fmt: skip
    context = FigureContext.of(pd.DataFrame(rows), highlight=highlight)
    ends = np.linspace(-1, 1, methods + 1)
    scores = {
        name: ends + shift for name, shift in zip(STATISTICS, [0, -0.5, 0.5] * 3, strict=True)
    }
    table = pd.DataFrame(scores, pd.Index(names[1:], name="method")).assign(interval_over="seeds")
    keys = [EVERYTHING, *((ALL, regime, ALL) for regime in context.regimes)]
    # in the place of what is computed once
    context.__dict__["scores"] = dict.fromkeys(keys, table)
    context.__dict__["phases"] = pd.DataFrame(
        columns=["task", "regime", "model", "method", "maximum", "minimum", "collapse"]
    )
    return context


def _drawn(stem: str, context: FigureContext) -> Figure:
    figure = figures.figures()[stem].draw(context.cells, context)
    assert figure is not None
    return figure


@pytest.mark.parametrize(("methods", "regimes", "word"), FEW_AND_MANY)
def test_the_forest_is_legible(methods: int, regimes: int, word: str) -> None:
    assert faults(_drawn("forest", _context(methods, regimes, word))) == []


@pytest.mark.parametrize(("methods", "regimes", "word"), FEW_AND_MANY[:2])
@pytest.mark.parametrize("stem", ["error-compression-{task}", "training-outcomes-{task}"])
def test_panels_are_legible(stem: str, methods: int, regimes: int, word: str) -> None:
    assert faults(_drawn(stem, _context(methods, regimes, word))) == []


def test_the_forest_names_highlighted_methods_in_bold() -> None:
    context = _context(3, 1, highlight=["m01"])
    labels = _drawn("forest", context).axes[0].get_yticklabels()
    assert [t.get_text() for t in labels if t.get_weight() == "bold"] == ["m01"]
    assert context.look("m01").colour == style.PALETTE[0]
    assert context.look("m00").colour == style.BESIDE_COLOUR
    assert _context(5, 1, highlight=["m01"]).look("m00") == style.PLAIN  # too many to be named


@pytest.mark.parametrize("most", [12, 20, 34])
def test_a_name_is_not_broken_at_its_hyphens(most: int) -> None:
    title = "Test error against compression: spoken-words\u00a0·\u00a0test_resnet"
    for lines in (panels.wrapped(title, most), panels.balanced(title, most)):
        assert max(map(len, lines.splitlines())) <= most
        assert "spoken-words" in lines
    assert "spoken-words\u00a0·\u00a0test_resnet" in panels.wrapped(title, 34)


def test_a_name_that_is_longer_than_a_line_is_broken_at_a_hyphen() -> None:
    assert panels.balanced("a regime-of-a-long-name", 10) == "a regime-\nof-a-long-\nname"


def _with_parts(methods: int, highlight: Sequence[str]) -> FigureContext:
    """Return a context whose methods have parts and layers, and two regimes to make a map of."""
    context = _context(methods, 2, highlight=highlight)
    made = {"pattern": "weight", "allocation": "global", "schedule": "one-shot",
            "recovery": "fine-tuning"}  # fmt: skip
    chosen = np.where(context.cells["method"] == "random", "random", "magnitude")
    noise = context.cells["regime"].map({"r0": 0.0, "r1": 0.4})
    cells = context.cells.assign(
        **made, criterion=chosen, val_error=context.cells["test_error"], label_noise=noise,
        train_samples=300.0,
    )  # fmt: skip
    layers = pd.DataFrame(
        {"task": "digits", "regime": "r0", "model": "seed-cnn", "method": name, "sparsity": 0.9,
         "place": place, "weights": 100, "kept": 10, "units": 4, "units_kept": 3}
        for name in context.longest_forms for place in (0, 1)
    )  # fmt: skip
    again = FigureContext.of(cells, layers=layers, highlight=highlight)
    scores = context.scores | {
        ("digits", regime, ALL): context.scores[EVERYTHING] for regime in context.regimes
    }
    again.__dict__["scores"] = scores
    return again


@pytest.mark.parametrize("highlight", [[], ["m11"]])
@pytest.mark.parametrize(("stem", "room"), [
    ("layers-{task}", 8), ("gain-noise-size", 6), ("criterion", 8), ("controls", 8),
])  # fmt: skip
def test_a_figure_of_few_methods_says_how_many_it_leaves_out(
    stem: str, room: int, highlight: list[str]
) -> None:
    context = _with_parts(12, highlight)
    drawn = _drawn(stem, context)
    words = [text.get_text() for text in drawn.findobj(Text) if isinstance(text, Text)]
    shown = [word for word in words if word.split(" ")[0] in context.longest_forms]
    assert len({word.split(" ")[0] for word in shown}) == room
    assert any(word.startswith("m11") for word in shown) == bool(highlight)
    assert any(f"not drawn: {12 - room} other methods" in word for word in words)
    bold = {t.get_text() for t in drawn.findobj(Text) if t.get_weight() == "bold"}  # type: ignore[attr-defined]
    assert stem == "criterion" or ("m11" in bold) == bool(highlight)
    whole = _drawn(stem, _with_parts(3, highlight[:0]))
    assert not [t for t in whole.findobj(Text) if "not drawn" in t.get_text()]  # type: ignore[attr-defined]


def test_what_is_wrong_is_found() -> None:
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, "one")
    figure.text(0.12, 0.5, "two")
    figure.text(0.9, 0.1, "beyond the page")
    assert faults(figure) == ["'two' over 'one'", "beyond the sides: 'beyond the page'"]


def test_axes_of_errors_are_of_one_kind_in_a_figure() -> None:
    figure = Figure()
    narrow, wide = figure.subplots(1, 2)
    assert not panels.error_axes([(narrow, pd.Series([2.0, 3.0]))])
    both = [(narrow, pd.Series([2.0, 3.0])), (wide, pd.Series([2.0, 30.0]))]
    assert panels.error_axes(both)
    assert [axes.get_yscale() for axes in (narrow, wide)] == ["log", "log"]
    shown = [tick for tick in narrow.get_yticks() if 2 <= tick <= 3]
    assert len(shown) >= 3
    # nothing is logarithmic where an error is 0
    assert not panels.error_axes([*both, (narrow, pd.Series([0.0, 3.0]))])


def test_long_names_lose_their_middle() -> None:
    from matplotlib.textpath import TextPath

    name = "a-name-of-forty-letters-as-people-do-type"
    short = panels.shortened(name, 60, 8)
    assert short[:2] == name[:2]
    assert short[-2:] == name[-2:]
    assert TextPath((0, 0), short, size=8).get_extents().width <= 60
    assert panels.shortened("short", 60, 8) == "short"
