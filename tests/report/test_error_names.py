"""Errors under the name of their kind of task, wherever a text leaves the suite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.text import Text

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Analysis
from prunebench.report import error_names, figures, leaderboard
from prunebench.report.tables import paper_tables
from prunebench.statistics.cells_table import check_cells
from prunebench.storage.layout import Layout
from tests.report.made_up import picture


@pytest.fixture
def spoken(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.assign(kind="language-model")


def test_classification_keeps_its_words(cells: pd.DataFrame) -> None:
    text = "Test error, validation error"
    for known in (cells, cells.assign(kind="classification"), cells.assign(kind=None)):
        assert error_names.named(text, known) == text
        assert error_names.explained(known) == ""
    # of another version, whose kinds this one does not know
    assert error_names.named(text, cells.assign(kind="tea-leaves")) == text


def test_every_text_of_a_value_is_named(spoken: pd.DataFrame) -> None:
    @dataclass(frozen=True)
    class Block:
        words: str
        rows: tuple[tuple[str, ...], ...]
        count: int = 3

    block = Block("Training error and\n  test error", (("a", "Test error (%)"), ("test_error", "")))
    found = error_names.all_named(block, spoken)
    assert found.words == "Training next-token error and\n  test next-token error"
    assert found.rows == (("a", "Test next-token error (%)"), ("test_error", ""))
    assert found.count == 3
    assert error_names.all_named({"test error": ["no test errors"]}, spoken) == {
        "test next-token error": ["no test errors"]
    }


def test_tables_leaderboard_and_figures_name_the_error(
    spoken: pd.DataFrame, tmp_path: Path
) -> None:
    layout = picture(Layout(tmp_path))
    leaderboard.write(spoken, layout)
    paper_tables.write(spoken, layout.tables, Analysis())
    texts = [path.read_text(encoding="utf-8") for path in layout.tables.glob("*.md")]
    texts += [path.read_text(encoding="utf-8") for path in layout.tables.glob("*.tex")]
    texts.append(layout.leaderboard("md").read_text(encoding="utf-8"))
    assert all(not re.search(r"\b[tT]est error\b", text) for text in texts)
    assert "test next-token error minus that of the dense baseline" in texts[-1]
    assert "a point is one per cent of the tokens" in texts[-1]
    drawn = figures.draw("forest", spoken)
    shown = [text.get_text() for text in figures.with_error_names(drawn, spoken).findobj(Text)]
    assert any("test next-token error" in text for text in shown)
    assert not any("test error" in text for text in shown)


def test_kinds_are_not_mixed(cells: pd.DataFrame) -> None:
    mixed = cells.assign(kind=["classification"] + ["regression"] * (len(cells) - 1))
    with pytest.raises(PrunebenchError, match="2 kinds \\(classification, regression\\)"):
        check_cells(mixed)
