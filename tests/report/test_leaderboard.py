from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from prunebench.layout import Layout
from prunebench.report import board, leaderboard, style
from prunebench.settings import Analysis
from prunebench.statistics import read_cells, score
from tests.report.html_tables import of_html

HOSTILE = "</script><script>alert(1)</script>|<img src=x onerror=alert(2)>&'\""


def of_markdown(path: Path) -> list[list[str]]:
    lines = [line for line in path.read_text().splitlines() if line.startswith("| ")]
    parts = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[2:]]
    return [[html.unescape(re.sub(r"\\(.)", r"\1", cell.strip())) for cell in row] for row in parts]


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"[-+]?\d+(?:\.\d+)?", text.replace(style.MINUS, "-"))]


@pytest.fixture(scope="module")
def layout(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("board"))
    (made.figures).mkdir()
    (made.figures / "error-compression-digits.png").write_bytes(b"\x89PNG picture")
    leaderboard.write(cells, made)
    return made


def test_the_three_files_hold_the_same_figures(layout: Layout) -> None:
    csv = pd.read_csv(layout.leaderboard("csv"), keep_default_na=False, na_values=[""])
    shown = of_html(layout.leaderboard("html"))[1:]
    assert of_markdown(layout.leaderboard("md")) == shown
    titles = [column.title for column in board.SHOWN]
    assert len(shown) == len(csv) == 8
    for row, (_, values) in zip(shown, csv.iterrows(), strict=True):
        text = dict(zip(titles, row, strict=True))
        assert text["Method"] == values["method"]
        for title, keys in (
            ("Rank", ["rank"]),
            ("Score", ["score"]),
            ("95 % interval", ["low", "high"]),
            ("At chosen sparsity", ["chosen"]),
            ("Its 95 % interval", ["chosen_low", "chosen_high"]),
            ("Epochs", ["train_epochs"]),
            ("Seconds", ["train_seconds"]),
            ("Cells", ["cells"]),
            ("Failed", ["failed"]),
            ("Missing", ["missing"]),
        ):
            wanted = [float(values[key]) for key in keys if not pd.isna(values[key])]
            assert numbers(text[title]) == wanted, title
        assert text["Against dense"] == values["against_baseline"]
        if values["method"] != "dense":
            tally = [values["wins"], values["ties"], values["losses"]]
            assert numbers(text["Wins / ties / losses"]) == tally
            assert text["Best cell"].startswith(values["best_cell"])


def test_figures_are_those_of_the_statistics(cells: pd.DataFrame, layout: Layout) -> None:
    csv = pd.read_csv(layout.leaderboard("csv")).set_index("method")
    wanted = score(cells).set_index("method")
    for key in ("score", "low", "high", "chosen"):
        assert [*csv[key]] == pytest.approx([*wanted[key]], abs=0.005001, nan_ok=True)


def test_each_subset_is_scored_by_itself(cells: pd.DataFrame) -> None:
    tables = board.boards(cells, Analysis())
    assert len(tables) == 2 * 3 * 3
    alone = board.boards(cells[cells["regime"] == "noisy-40"], Analysis())
    assert tables["all", "noisy-40", "all"] == alone[board.EVERYTHING]


def test_warnings_name_what_weakens_the_table(cells: pd.DataFrame) -> None:
    rows = board.boards(cells, Analysis())[board.EVERYTHING]
    first, second = board.warnings(cells, rows)
    assert "With 3 seeds no difference can be significant" in first
    assert "0.25" in first
    assert "2 collapsed, 1 diverged, 1 failed" in second
    late = cells.assign(train_error=cells["train_error"].mask(cells["method"] == "dense", 0.1))
    gone = late.drop(index=late.index[(late["method"] == "imp") & (late["sparsity"] > 0.98)])
    said = board.warnings(gone, board.boards(gone, Analysis())[board.EVERYTHING])
    assert any("under-trained (noisy-40 · seed-cnn, noisy-40 · test_resnet)" in s for s in said)
    assert any(s == "Not ranked, since cells are missing: imp." for s in said)


def test_hostile_names_stay_text(cells: pd.DataFrame, tmp_path: Path) -> None:
    bad = cells.replace({"method": {"imp": HOSTILE}, "regime": {"clean": HOSTILE}})
    made = Layout(tmp_path)
    leaderboard.write(bad, made)
    page = made.leaderboard("html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("</script>") == 2
    assert any(HOSTILE in row for row in of_html(made.leaderboard("html")))
    embedded = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert embedded
    assert any(part["subset"][1] == HOSTILE for part in json.loads(embedded[1]))
    assert len({len(row) for row in of_markdown(made.leaderboard("md"))}) == 1


def test_the_page_needs_no_network_and_shows_the_figure(layout: Layout) -> None:
    page = layout.leaderboard("html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert "data:image/png;base64,iVBORw" not in page  # the made-up picture is the one in use
    assert page.count("data:image/png;base64,") == 1
    assert len(page) < 3_000_000


def test_the_ground_is_named(layout: Layout) -> None:
    for kind in ("md", "html"):
        text = layout.leaderboard(kind).read_text()
        for word in ("digits", "clean, noisy-40", "0, 1, 2", "2.9.1", "1.0.22", "98.44 %"):
            assert word in text


@pytest.mark.parametrize(
    "part", ["method == 'dense'", "seed == 0", "regime == 'clean' and method != 'random'"]
)
def test_part_of_a_grid_gives_a_leaderboard_too(
    cells: pd.DataFrame, tmp_path: Path, part: str
) -> None:
    made = Layout(tmp_path)
    some = cells.query(part)
    some.to_csv(made.cells_csv, index=False)
    leaderboard.write(read_cells(made.cells_csv), made)
    shown = of_html(made.leaderboard("html"))[1:]
    assert shown == of_markdown(made.leaderboard("md"))
    assert len(shown) == some["method"].nunique()
    assert "nan" not in made.leaderboard("md").read_text()
