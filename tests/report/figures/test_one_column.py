"""Figures for one column: as wide as one, a setting each, legible, in the colours of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.text import Text

from prunebench.report import figures
from prunebench.report.figures import one_column, style
from prunebench.report.figures.figure_context import FigureContext
from tests.report.figures.conftest import only_saved

SMALLEST = 6  # points
POINTS = 72  # an inch
BOX = rb"/MediaBox \[([^]]+)\]"  # of a page: left, lower, right and upper edge in points
SAVED = {"forest", "predictors", "error-compression-digits-clean-seed-cnn"}


@pytest.fixture(scope="module")
def folder(context: FigureContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("column")
    with only_saved(SAVED):
        written = one_column.write(context.cells, made)
    assert {path.name for path in written} == {path.name for path in made.iterdir()}
    return made


def test_a_setting_has_its_own_and_what_is_whole_stays_whole(folder: Path) -> None:
    names = {path.stem for path in folder.glob("*.pdf")}
    assert {"forest", "controls", "predictors", "gain-noise-size"} <= names
    for stem in ("error-compression-digits", "criterion-digits", "harm-digits"):
        assert {f"{stem}-clean-seed-cnn", f"{stem}-noisy-40-seed-cnn"} <= names
        assert stem not in names
    assert "memorized-recovered-digits-clean-seed-cnn" not in names
    assert {path.suffix for path in folder.iterdir()} == {".pdf"}


def test_all_are_as_wide_as_a_column_and_fonts_are_embedded(folder: Path) -> None:
    for name in SAVED:
        content = (folder / f"{name}.pdf").read_bytes()
        left, low, width, height = map(float, re.findall(BOX, content)[0].split())
        assert (left, low) == (0, 0)
        assert width / POINTS == pytest.approx(style.COLUMN_WIDTH)
        assert height / POINTS < 9
        assert b"/FontFile2" in content
        assert b"/Subtype /Type3" not in content


@pytest.mark.parametrize("width", [style.COLUMN_WIDTH, style.PAGE_WIDTH])
@pytest.mark.parametrize("stem", sorted(figures.figures()))
def test_nothing_is_too_small_or_cut_off(stem: str, width: float, context: FigureContext) -> None:
    each = figures.figures()[stem]
    part = context.cells if each.whole else context.cells[context.cells["regime"] == "noisy-40"]
    drawn = each.draw(part, context, width)
    if drawn is None:
        pytest.skip("the made-up table lacks what it shows")
    drawn.draw_without_rendering()
    assert drawn.get_figwidth() <= width
    shown = [t for t in drawn.findobj(Text) if t.get_text().strip() and t.get_visible()]
    assert min(t.get_fontsize() for t in shown) >= SMALLEST
    for axes in drawn.axes:
        box = axes.get_tightbbox()
        assert drawn.bbox.x0 - 1 <= box.x0
        assert box.x1 <= drawn.bbox.x1 + 1
    for legend in drawn.legends:
        box = legend.get_window_extent()
        assert drawn.bbox.x0 <= box.x0
        assert box.x1 <= drawn.bbox.x1 + 1


def test_colours_are_those_of_the_page(context: FigureContext) -> None:
    each = figures.figures()[figures.ERROR]
    clean = context.cells[context.cells["regime"] == "clean"]
    page, narrow = each.draw(context.cells, context), each.draw(clean, context, style.COLUMN_WIDTH)
    assert page is not None
    assert narrow is not None
    looks = [
        {t.get_text(): h.get_color() for t, h in zip(f.legends[0].get_texts(),
         f.legends[0].legend_handles, strict=True)}
        for f in (page, narrow)
    ]  # fmt: skip
    assert looks[0] == looks[1]
    assert len(narrow.axes) == 1


def test_the_title_is_left_to_the_caption(context: FigureContext) -> None:
    drawn = figures.figures()["forest"].draw(context.cells, context)
    assert drawn is not None
    before = drawn.get_figheight()
    assert one_column.untitled(drawn).get_suptitle() == ""
    assert drawn.get_figheight() < before
