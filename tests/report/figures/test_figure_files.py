"""What is written: which files, the same bits, embedded fonts, nothing where columns are empty."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Analysis
from prunebench.report import figures
from prunebench.report.figures import style
from prunebench.report.figures.figure_context import EMPHASISED, FigureContext
from tests.report.figures.conftest import only_saved
from tests.report.made_up import every_column, layers, saved

OLD = {"error-compression-digits", "error-speedup-digits", "harm-digits", "forest", "controls",
       "memorized-recovered-digits", "train-test-gap-digits"}  # fmt: skip
# of sizes and times, which these cells lack
SAVINGS = {f"{stem}-digits" for stem in ("layers", "pareto", "quantization", "speedup-measured")}
# of how trainings ended, which these cells do not say
TRAININGS = {f"{stem}-digits" for stem in ("two-by-two", "error-length", "training-outcomes")}
# of layers that were pruned alone, which is asked for beside
ALONE = {"sensitivity-map-digits", "sensitivity-curves-digits"}
NEW = {"criterion", "recovery", "gain-noise-size", "predictors"}
SAVED = {"forest", "predictors", "criterion", "error-compression-digits"}


@pytest.fixture(scope="module")
def folder(context: FigureContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("figures")
    with only_saved(SAVED):
        names = {path.name for path in figures.write(context.cells, made)}
    assert names == {f"{name}.{kind}" for name in OLD | NEW for kind in figures.KINDS}
    assert names == {path.name for path in made.iterdir()}
    return made


def test_fonts_are_embedded_as_truetype(folder: Path) -> None:
    for name in SAVED:
        content = (folder / f"{name}.pdf").read_bytes()
        assert b"/FontFile2" in content
        assert b"/Subtype /Type3" not in content
        assert b"CreationDate" not in content
        fonts = [font for font in streams(content) if font.startswith(b"\0\1\0\0")]
        assert fonts
        # what a viewer needs is there, and nothing by which glyphs would be placed once more
        for font in map(tables, fonts):
            assert {"glyf", "loca", "hmtx", "head"} <= font
            assert not {"GSUB", "GPOS", "GDEF", "kern"} & font


def streams(content: bytes) -> list[bytes]:
    """The unpacked streams of a PDF."""
    found = re.findall(rb"/FlateDecode.*?stream\n(.*?)\nendstream", content, re.DOTALL)
    return [zlib.decompress(packed) for packed in found]


def tables(font: bytes) -> set[str]:
    """The names of the tables of a TrueType font."""
    (count,) = struct.unpack(">H", font[4:6])
    return {font[start : start + 4].decode() for start in range(12, 12 + 16 * count, 16)}


def test_same_records_same_bits(cells: pd.DataFrame, folder: Path, tmp_path: Path) -> None:
    table = every_column(cells[cells["model"] == "seed-cnn"])
    for stem in ("forest", "predictors", "criterion"):
        assert stem in SAVED
        drawn = figures.draw(stem, table.sample(frac=1, random_state=0))
        assert drawn is not None
        for path in figures.save(drawn, tmp_path, stem):
            assert path.read_bytes() == (folder / path.name).read_bytes()


def test_pages_are_as_wide_as_a_column_or_a_page(folder: Path) -> None:
    from PIL import Image

    widths = set()
    for name in SAVED:
        with Image.open(folder / f"{name}.png") as image:
            widths.add(image.width / style.DPI)
    assert widths <= {style.COLUMN_WIDTH, style.PAGE_WIDTH}


def test_what_was_not_recorded_is_left_out(cells: pd.DataFrame) -> None:
    empty = cells.assign(
        memorized=np.nan, flips=np.nan, test_ece=np.nan, theoretical_speedup=np.nan
    )
    for stem in ("memorized-recovered-{task}", "harm-{task}", "error-speedup-{task}", *NEW):
        assert figures.draw(stem, empty) is None
    assert figures.draw("train-test-gap-{task}", empty) is not None
    dense = cells[cells["method"] == "dense"]
    assert figures.draw("forest", dense) is None
    with pytest.raises(ValueError, match="beside the baseline"):
        figures.draw_forest(dense)


def test_every_figure_has_a_caption_by_its_file(folder: Path, cells: pd.DataFrame) -> None:
    captions = figures.captions(cells)
    assert set(captions) == OLD | NEW | SAVINGS | TRAININGS | ALONE
    assert all(text.endswith(".") for text in captions.values())


def test_names_with_markup_are_harmless(cells: pd.DataFrame, tmp_path: Path) -> None:
    strange = {"imp": "$x^{", "snip": "_hidden", "magnitude": "<b>&\\frac", "wanda": "a%{task}"}
    table = cells[cells["model"] == "seed-cnn"].replace({"method": strange})
    table = table.replace({"task": {"digits": "../a b"}, "regime": {"clean": "$\\clean$"}})
    drawn = figures.draw(figures.ERROR, table)
    assert drawn is not None
    drawn.draw_without_rendering()
    names = {text.get_text() for text in drawn.legends[0].get_texts()}
    assert set(strange.values()) <= names
    entry = figures.figures()[figures.ERROR]
    assert [name for name, _ in entry.tables(table)] == ["error-compression-.._a_b"]


def test_many_methods_leave_eight_in_colour(cells: pd.DataFrame) -> None:
    own = cells[(cells["model"] == "seed-cnn") & (cells["method"] == "imp")]
    extra = [own.assign(method=f"m{i:02d}", test_error=own["test_error"] + 0.001 * i)
             for i in range(20)]  # fmt: skip
    table = pd.concat([cells[cells["model"] == "seed-cnn"], *extra], ignore_index=True)
    context = FigureContext.of(table, Analysis(primary=["m19", "apoz"]))
    assert len(context.shown) == EMPHASISED
    assert {"m19", "apoz", "m00"} <= set(context.shown)
    drawn = figures.draw(figures.ERROR, table, Analysis(primary=["m19", "apoz"]))
    assert drawn is not None
    assert "thin grey: 18 other methods" in drawn.legends[0].get_title().get_text()
    assert len(drawn.legends[0].get_texts()) == EMPHASISED + 2  # dense and random


def test_looks_tell_everybody_apart() -> None:
    looks = style.line_styles([f"m{i}" for i in range(20)], ["random", "small"], ["dense", "long"])
    assert len({(look.marker, look.dashes, look.fill) for look in looks.values()}) == 24
    assert looks["dense"].dashes == ()


def test_the_module_costs_no_seaborn_until_it_draws() -> None:
    code = (
        "import sys, prunebench.report.figures as f, prunebench.report.leaderboard; f.figures();"
        "sys.exit(bool({'seaborn', 'matplotlib', 'torch', 'jinja2'} & set(sys.modules)))"
    )
    root = Path(figures.__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_figures_of_savings_are_drawn_where_there_is_something(cells: pd.DataFrame) -> None:
    made = saved(cells)
    drawn = FigureContext.of(made, layers=layers(made))
    without = FigureContext.of(cells)
    for stem in SAVINGS:
        each = figures.figures()[stem.replace("digits", "{task}")]
        assert each.draw(drawn.cells, drawn) is not None
        assert each.draw(without.cells, without) is None


def test_figures_of_ones_own(
    context: FigureContext, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "mine.py").write_text(
        "from matplotlib.figure import Figure\n"
        "from prunebench.experiment.registry import figure\n"
        "def seeds(cells, context):\n"
        "    '''Test error by seed.'''\n"
        "    drawn = Figure()\n"
        "    drawn.subplots().plot(cells['seed'], cells['test_error'], '.')\n"
        "    return drawn\n"
        "@figure(caption='One for each task.', per_task=True)\n"
        "def own(cells, context):\n"
        "    return seeds(cells, context)\n"
        "def broken(cells, context):\n"
        "    raise RuntimeError('no such luck')\n"
        "def nothing(cells, context): ...\n"
    )
    names = [f"{tmp_path}/mine.py:{name}" for name in ("seeds", "own", "broken", "nothing")]
    monkeypatch.setattr(figures, "KINDS", ("png",))
    # those that ship are drawn in other tests
    monkeypatch.setattr("pkgutil.iter_modules", lambda places: [])
    made = figures.write(context.cells, tmp_path / "figures", own=names)
    assert {path.stem for path in made} == {"seeds", "own-digits"}
    assert "mine.py:broken: RuntimeError: no such luck" in capsys.readouterr().err
    said = figures.captions(context.cells, names)
    assert said["seeds"] == "Test error by seed."
    assert said["own-digits"] == "One for each task."


def test_a_figure_of_ones_own_changes_nothing_for_what_is_drawn_next(
    context: FigureContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "from matplotlib.figure import Figure\n"
        "def moves(cells, context):\n"
        "    os.chdir('/')\n"
        "    cells['seed'] = context.cells['test_error'] = 7\n"
        "    return Figure()\n"
        "from pathlib import Path\n"
        "def sums(cells, context):\n"
        "    found = cells['seed'].sum(), context.cells['test_error'].sum()\n"
        "    Path('sums.txt').write_text(' '.join(map(str, found)))\n"
    )
    monkeypatch.setattr(figures, "KINDS", ("png",))
    monkeypatch.setattr("pkgutil.iter_modules", lambda places: [])
    monkeypatch.chdir(tmp_path)
    before = context.cells.copy()
    made = figures.write(context.cells, Path("figures"), own=["mine.py:moves", "mine.py:sums"])
    assert [path.exists() for path in made] == [True]
    pd.testing.assert_frame_equal(context.cells, before)
    expected = f"{before['seed'].sum()} {before['test_error'].sum()}"
    assert (tmp_path / "sums.txt").read_text() == expected


def test_a_figure_that_takes_anothers_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def forest(cells, context): ...\n")
    with pytest.raises(PrunebenchError, match="there is a figure 'forest' already"):
        figures.own_figure(f"{tmp_path}/mine.py:forest")


def test_captions_speak_of_bars_and_bands_only_where_there_are_seeds(cells: pd.DataFrame) -> None:
    several, one = figures.captions(cells), figures.captions(cells[cells["seed"] == 0])
    for said, texts in ((True, several), (False, one)):
        assert ("intervals over seeds" in texts["two-by-two-digits"]) is said
        assert any("bands over seeds" in text for text in texts.values()) is said
    assert "so no bars" in one["two-by-two-digits"]
    assert not [text for text in [*several.values(), *one.values()] if "{" in text or ",," in text]


def test_captions_say_what_highlighting_made_grey(cells: pd.DataFrame) -> None:
    plain, marked = figures.captions(cells), figures.captions(cells, highlight=["magnitude"])
    assert plain.keys() == marked.keys()
    assert not any("{" in said for said in [*plain.values(), *marked.values()])
    grey = [name for name, said in plain.items() if "grey: controls" in said]
    assert {name.rpartition("-")[0] for name in grey} >= {"error-compression", "train-test-gap"}
    for name in grey:
        assert "grey: controls;" in plain[name]
        assert "grey: controls and methods that are not highlighted;" in marked[name]
