"""The page in a real browser: sorting, filtering, the keyboard, no error in the console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from prunebench.layout import Layout
from prunebench.report import board, leaderboard
from prunebench.settings import Analysis

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def path(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = Layout(tmp_path_factory.mktemp("page"))
    leaderboard.write(cells, layout)
    return layout.leaderboard("html")


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    made = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    made.on("console", lambda message: said.append(message.text))
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("request", lambda request: asked.append(request.url))
    made.goto(path.as_uri())
    yield made
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    made.close()


def column(page: Page, title: str) -> list[str]:
    at = [c.title for c in board.SHOWN].index(title) + 1
    return page.locator(f"#board tbody tr > :nth-child({at})").all_inner_texts()


def test_sorting_by_mouse_and_keyboard(page: Page, cells: pd.DataFrame) -> None:
    rows = board.boards(cells, Analysis())[board.EVERYTHING]
    assert column(page, "Method") == [row["method"] for row in rows]
    head = page.get_by_role("columnheader", name="Score", exact=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, "Method") == [row["method"] for row in rows[::-1]]
    page.get_by_role("button", name="Method").click()
    assert column(page, "Method") == sorted(row["method"] for row in rows)
    assert page.locator("th[aria-sort]").count() == 1
    # as numbers, not as texts; what is missing stays last
    page.get_by_role("button", name="95 % interval").first.click()
    wanted = sorted(row["low"] for row in rows if row["low"] is not None)
    shown = [
        text.split(",")[0].strip("[").replace("−", "-") for text in column(page, "95 % interval")
    ]
    assert [float(text) for text in shown[:-1]] == wanted
    assert shown[-1] == "–"


def test_filters_show_what_was_computed_for_that_subset(page: Page, cells: pd.DataFrame) -> None:
    tables = board.boards(cells, Analysis())
    page.get_by_label("Regime").select_option("noisy-40")
    page.get_by_label("Model").select_option("seed-cnn")
    rows = tables["all", "noisy-40", "seed-cnn"]
    assert column(page, "Score") == [board.texts(row)[3] for row in rows]
    assert page.get_by_role("status").inner_text() == (
        "8 of 8 methods, scored on noisy-40 · seed-cnn"
    )
    page.get_by_label("Family").select_option("structure")
    assert column(page, "Method") == ["l1-filter"]
    page.get_by_role("button", name="Reset").click()
    page.locator("#board tbody tr").nth(7).wait_for()
    assert column(page, "Score") == [board.texts(row)[3] for row in tables[board.EVERYTHING]]


def test_hostile_names_do_nothing(browser: Browser, cells: pd.DataFrame, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    layout = Layout(tmp_path)
    leaderboard.write(cells.replace({"method": {"imp": name}}), layout)
    made = browser.new_page()
    alerts: list[str] = []
    made.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    made.goto(layout.leaderboard("html").as_uri())
    made.get_by_label("Regime").select_option("clean")
    assert name in column(made, "Method")
    assert alerts == []
    made.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(browser: Browser, path: Path, scheme: str, width: int) -> None:
    made = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    made.goto(path.as_uri())
    assert made.evaluate("document.documentElement.scrollWidth") <= width
    dark = made.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    made.close()
