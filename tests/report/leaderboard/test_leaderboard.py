"""leaderboard.md, .csv and .html: the same numbers, those of the statistics, escaped, alone."""

from __future__ import annotations

import base64
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.report import leaderboard, reader_warnings
from prunebench.report.leaderboard import columns, page, ranking
from prunebench.report.leaderboard.row_details import details
from prunebench.report.leaderboard.subsets import EVERYTHING, ChoiceTables, tables
from prunebench.statistics import read_cells, score
from prunebench.statistics.published_results import named
from prunebench.storage.layout import Layout
from prunebench.text.numbers import MINUS
from tests.messages import unsaid
from tests.report.made_up import picture
from tests.report.shown_tables import of_html, of_markdown

ALL = [ranking.EVERYTHING]
HOSTILE = "</script><script>alert(1)</script>|<img src=x onerror=alert(2)>&'\""


MEASURED = (
    ("Epochs", "train_epochs"),
    ("Seconds", "train_seconds"),
    ("Pruning seconds", "prune_seconds"),
    ("Compression", "compression_ratio"),
    ("Fewer MACs", "theoretical_speedup"),
)


def embedded(path: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"[-+]?\d+(?:\.\d+)?", text.replace(MINUS, "-"))]


def test_the_three_files_hold_the_same_figures(board: Layout) -> None:
    csv = pd.read_csv(board.leaderboard("csv"), keep_default_na=False, na_values=[""])
    titles, *shown = of_html(board.leaderboard("html"))
    assert of_markdown(board.leaderboard("md")) == [titles, *shown]
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
            *((title, [key]) for title, key in MEASURED),
            ("Cells", ["cells"]),
            ("Failed", ["failed"]),
            ("Missing", ["missing"]),
        ):
            wanted = [float(values[key]) for key in keys if not pd.isna(values[key])]
            assert numbers(text[title]) == wanted, title
        assert text["Against dense"] == values["against_baseline"].replace(" than dense", "")
        if values["method"] != "dense":
            tally = [values["wins"], values["ties"], values["losses"]]
            assert numbers(text["Wins / ties / losses"]) == tally
            assert text["Best cell"].startswith(values["best_cell"])


def test_marks_and_other_intervals_are_explained(cells: pd.DataFrame, scores: ChoiceTables) -> None:
    rows = scores.rows[EVERYTHING]
    plain, marked = (leaderboard.markdown(rows, cells, mine) for mine in ([], ["imp"]))
    assert "→" not in plain
    assert "| → imp " in marked.replace("\\", "")
    assert "→ before a name: the methods that the configuration highlights" in marked
    assert "so other intervals" in plain


def test_figures_are_those_of_the_statistics(cells: pd.DataFrame, board: Layout) -> None:
    csv = pd.read_csv(board.leaderboard("csv")).set_index("method")
    wanted = score(cells).set_index("method")
    for key in ("score", "low", "high", "chosen"):
        assert [*csv[key]] == pytest.approx([*wanted[key]], abs=0.005001, nan_ok=True)


def test_the_script_reads_the_same_figures(board: Layout) -> None:
    data = embedded(board.leaderboard("html"))
    rows = data["tables"][json.dumps(EVERYTHING, separators=(",", ":"))]
    texts = [[data["texts"][place] for place in row[2]] for row in rows]
    assert texts == of_html(board.leaderboard("html"))[1:]
    assert len(data["kinds"]) == len(texts[0])


def test_each_subset_is_scored_by_itself(cells: pd.DataFrame, scores: ChoiceTables) -> None:
    found = {choice[:3]: rows for choice, rows in scores.rows.items() if choice[3] == "all"}
    assert len(found) == 3 * 3  # one task is no choice
    [alone] = ranking.boards(cells[cells["regime"] == "noisy-40"], Analysis(), ALL).values()
    assert found["all", "noisy-40", "all"] == alone
    one = ("all", "clean", "all")
    assert ranking.boards(cells, Analysis(), [one]) == {one: found[one]}


def test_costs_are_means_over_the_cells_of_the_row(cells: pd.DataFrame) -> None:
    clean = cells[cells["regime"] == "clean"].assign(measured_speedup=np.nan)
    clean.loc[clean["seed"] == 0, "measured_speedup"] = 3.0
    [(_, rows)] = ranking.boards(clean, Analysis(), [("all", "clean", "all")]).items()
    for row in rows:
        own = clean[clean["method"] == row["method"]]
        assert row["train_seconds"] == pytest.approx(own["train_seconds"].mean(), abs=0.0501)
        product = float(np.prod(own["compression_ratio"].to_numpy(float) ** (1 / len(own))))
        assert row["compression_ratio"] == pytest.approx(product, abs=0.00501)
        assert row["measured_speedup"] == 3.0  # of the cells that have it
        assert row["latency_ms"] is None


def test_costs_that_nobody_measured_are_no_column(
    cells: pd.DataFrame, scores: ChoiceTables
) -> None:
    rows = scores.rows[EVERYTHING]
    assert "Latency (ms)" in columns.unmeasured(rows)
    assert "Latency (ms)" not in [column.title for column in columns.shown(rows)]
    [rows] = ranking.boards(cells.assign(latency_ms=2.5), Analysis(), ALL).values()
    assert [row["latency_ms"] for row in rows] == [2.5] * 8
    assert "Latency (ms)" in [column.title for column in columns.shown(rows)]


def test_published_rows_are_marked_and_have_no_rank(
    cells: pd.DataFrame, scores: ChoiceTables, tmp_path: Path
) -> None:
    theirs = cells[(cells["regime"] == "clean") & cells["method"].isin(["dense", "imp"])]
    theirs = theirs.assign(
        method=[named(method, "He 2022") for method in theirs["method"]], published="He 2022"
    )
    both = pd.concat([cells.assign(published=None).astype(object), theirs.astype(object)])
    both.to_csv(tmp_path / "both.csv", index=False)
    both = read_cells(tmp_path / "both.csv")
    [rows] = ranking.boards(both, Analysis(), ALL).values()
    mine = scores.rows[EVERYTHING]
    assert rows[: len(mine)] == mine  # nothing of one's own changes
    row = next(row for row in rows if row["method"] == "imp (He 2022)")
    assert row["published"] == "He 2022"
    assert row["rank"] is None
    assert row["score"] is not None
    assert columns.METHOD.text(row) == "imp (He 2022) (published, not re-run)"
    said = reader_warnings.of_leaderboard(both, rows)
    assert said[:-1] == reader_warnings.of_leaderboard(cells, mine)
    assert said[-1].startswith("Published, not re-run, and not ranked: He 2022.")
    ground = ranking.basis(both)
    assert ground.pop("Published, not re-run") == "He 2022"
    assert ground == ranking.basis(cells)
    made = picture(Layout(tmp_path))
    leaderboard.write(both, made)
    data = embedded(made.leaderboard("html"))
    assert data["published"]["imp (He 2022)"] == "He 2022"
    assert "imp (He 2022) (published, not re-run)" in made.leaderboard("md").read_text()
    assert len(data["points"]["methods"]["imp (He 2022)"]) == 2 * 6


def test_libraries_come_with_their_licence_and_version(board: Layout) -> None:
    text = board.leaderboard("html").read_text()
    for name, version, licence in (
        ("datatables-3.1.5", "DataTables 3.1.5", "The MIT License"),
        ("d3-7.9.2", "https://d3js.org v7.9.2", "Permission to use, copy, modify"),
        ("plot-0.6.17", "@observablehq/plot v0.6.17", "Permission to use, copy, modify"),
    ):
        assert f"/*! {name}" in text
        assert version in text
        assert licence in text
        library = page._library(name)
        assert "</script" not in library["script"].lower()
        assert "<!--" not in library["script"]
        assert "*/" not in library["licence"]


def test_warnings_name_what_weakens_the_table(cells: pd.DataFrame, scores: ChoiceTables) -> None:
    rows = scores.rows[EVERYTHING]
    first, second = reader_warnings.of_leaderboard(cells, rows)
    assert "With 3 seeds no difference can be significant" in first
    assert "0.25" in first
    assert "2 collapsed, 1 diverged, 1 failed" in second
    late = cells.assign(train_error=cells["train_error"].mask(cells["method"] == "dense", 0.1))
    gone = late.drop(index=late.index[(late["method"] == "imp") & (late["sparsity"] > 0.98)])
    [rows] = ranking.boards(gone, Analysis(), ALL).values()
    said = reader_warnings.of_leaderboard(gone, rows)
    assert any("under-trained (noisy-40 · seed-cnn, noisy-40 · test_resnet)" in s for s in said)
    assert any(unsaid(s, "cells that they share", "missing: imp.") == [] for s in said)


def test_a_mask_that_was_in_part_drawn_is_told(cells: pd.DataFrame, scores: ChoiceTables) -> None:
    rows, plain = scores.rows[EVERYTHING], reader_warnings.of_leaderboard(cells, [])
    snip = (cells["method"] == "snip") & (cells["sparsity"] > 0.98)
    drawn = pd.Series(0.0, cells.index).mask(snip, 0.4).mask(cells["method"] == "dense")
    few = cells.assign(tied_share=drawn.mask(snip, 0.04))
    assert reader_warnings.of_leaderboard(few, []) == plain
    said = reader_warnings.of_leaderboard(cells.assign(tied_share=drawn), rows)
    (told,) = [sentence for sentence in said if "tied_share" in sentence]
    assert told.startswith(f"In {snip.sum()} cells of snip more than 5 % ")
    assert "up to 40 %" in told


def test_hostile_names_stay_text(cells: pd.DataFrame, tmp_path: Path) -> None:
    bad = cells.replace({"method": {"imp": HOSTILE}, "regime": {"clean": HOSTILE}})
    made = picture(Layout(tmp_path))
    leaderboard.write(bad, made)
    text = made.leaderboard("html").read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert text.count("</script>") == 2 + len(page.LIBRARIES)
    assert any(HOSTILE in row for row in of_html(made.leaderboard("html")))
    assert any(
        json.loads(key)[1] == HOSTILE for key in embedded(made.leaderboard("html"))["tables"]
    )
    assert len({len(row) for row in of_markdown(made.leaderboard("md"))}) == 1


def test_the_page_needs_no_network_and_shows_the_figure(board: Layout) -> None:
    text = board.leaderboard("html").read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)=.(?!data:)", text)
    drawn = (board.figures / "error-compression-digits.png").read_bytes()
    shown = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert [base64.b64decode(each) for each in shown] == [drawn]
    assert len(text.encode()) < 3_000_000


def test_what_the_page_leaves_out_is_said(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "FIGURE_BYTES", 10)
    monkeypatch.setattr(page, "details", partial(details, records=100, failures=1))
    text = page.html(tables(cells, Analysis(), limit=100), cells, Layout(tmp_path), [])
    assert "at most 1 choices of" in text
    assert f"{4 * (1 + 7 * 6)} of them from {len(cells)} records; each seed" in text
    assert "3 more failures and their messages are in cells.csv" in text
    assert "1 of 1 figures are not here but in figures/" in text
    assert "There are no recipes: config.json is not there." in text
    assert "Not measured in these records: Measured speed-up" in text


def test_the_ground_is_named(board: Layout) -> None:
    for kind in ("md", "html"):
        text = board.leaderboard(kind).read_text()
        for word in ("digits", "clean, noisy-40", "0, 1, 2", "2.9.1", "1.0.22", "98.44 %"):
            assert word in text


@pytest.mark.parametrize(
    "part", ["method == 'dense'", "seed == 0", "regime == 'clean' and method != 'random'"]
)
def test_part_of_a_grid_gives_a_leaderboard_too(
    cells: pd.DataFrame, tmp_path: Path, part: str
) -> None:
    made = picture(Layout(tmp_path))
    some = cells.query(part)
    some.to_csv(made.cells_csv, index=False)
    leaderboard.write(read_cells(made.cells_csv), made)
    shown = of_html(made.leaderboard("html"))
    assert shown == of_markdown(made.leaderboard("md"))
    assert len(shown) == some["method"].nunique() + 1
    assert "nan" not in made.leaderboard("md").read_text()
