"""The page in a real browser: sorting, filtering, unfolding, the keyboard, a quiet console."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import yaml

from prunebench.experiment import config
from prunebench.experiment.settings import Analysis
from prunebench.report import leaderboard
from prunebench.report.leaderboard import columns
from prunebench.report.leaderboard import page as pages
from prunebench.report.leaderboard.columns import Row
from prunebench.report.leaderboard.recipes import recipes
from prunebench.report.leaderboard.subsets import EVERYTHING, ChoiceTables, tables
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout
from prunebench.text.numbers import MINUS, NONE, number
from tests.report.conftest import quiet_page
from tests.report.made_up import picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def path(board: Layout) -> Path:
    return board.leaderboard("html")


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    with quiet_page(browser, path, viewport={"width": 1280, "height": 900}) as made:
        yield made


def column(page: Page, title: str) -> list[str]:
    titles = page.locator("#board > thead th").all_inner_texts()
    at = [text.replace("\u00a0", " ").rstrip(" ↕▲▼") for text in titles].index(title) + 1
    return page.locator(f"#board > tbody > tr:not(.detail) > :nth-child({at})").all_inner_texts()


def wait_for_sorting(page: Page, title: str, direction: str) -> None:
    """The library sorts a moment after the click."""
    page.locator(f'#board th[aria-sort="{direction}"]', has_text=title).first.wait_for()


def score_texts(rows: list[Row]) -> list[str]:
    return [number(row["score"], 2, sign=True) for row in rows]


def methods(rows: list[Row]) -> list[str]:
    return [row["method"] for row in rows]


def test_sorting_by_mouse_and_keyboard(page: Page, scores: ChoiceTables) -> None:
    rows = scores.rows[EVERYTHING]
    assert column(page, "Method") == methods(rows)
    head = page.locator("th", has_text="Score")
    head.click()
    wait_for_sorting(page, "Score", "ascending")
    assert column(page, "Method") == methods(rows)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    wait_for_sorting(page, "Score", "descending")
    assert column(page, "Method") == methods(rows[::-1])
    page.get_by_role("button", name="Method").focus()
    page.keyboard.press("Space")
    wait_for_sorting(page, "Method", "ascending")
    assert column(page, "Method") == sorted(methods(rows))
    assert page.locator("th[aria-sort]").count() == 1
    # as numbers, not as texts; what is missing stays last, up and down
    low = sorted(row["low"] for row in rows if row["low"] is not None)
    for wanted, direction in ((low, "ascending"), (low[::-1], "descending")):
        page.get_by_role("button", name="95 % interval").first.click()
        wait_for_sorting(page, "95 % interval", direction)
        *shown, last = column(page, "95 % interval")
        found = [text.split(",")[0].strip("[").replace(MINUS, "-") for text in shown]
        assert [float(text) for text in found] == wanted
        assert last == NONE


def test_filters_show_what_was_computed_for_that_choice(page: Page, scores: ChoiceTables) -> None:
    page.get_by_role("combobox", name="Regime").select_option("noisy-40")
    page.get_by_role("combobox", name="Model").select_option("seed-cnn")
    rows = scores.rows["all", "noisy-40", "seed-cnn", "all"]
    assert column(page, "Score") == score_texts(rows)
    state = page.locator("#state")
    assert state.inner_text() == "8 of 8 methods, scored on noisy-40 · seed-cnn"
    page.get_by_role("combobox", name="Sparsity").select_option("75 %")
    at = scores.rows["all", "noisy-40", "seed-cnn", "75 %"]
    assert column(page, "Score") == score_texts(at)
    assert score_texts(at) != score_texts(rows)
    page.get_by_role("combobox", name="Family").select_option("structure")
    assert column(page, "Method") == ["l1-filter"]
    page.get_by_role("combobox", name="Family").select_option("all")
    page.get_by_role("searchbox").fill("apo")
    assert column(page, "Method") == ["apoz"]
    assert state.inner_text().startswith("1 of 8 methods")
    page.get_by_role("button", name="Reset").click()
    page.locator("#board > tbody > tr").nth(7).wait_for()
    assert column(page, "Score") == score_texts(scores.rows[EVERYTHING])


def unfold(page: Page, method: str) -> Locator:
    page.get_by_role("button", name=method, exact=True).click()
    return page.locator(".unfolded", has_text=f"{method}: test error against compression")


def test_a_row_unfolds_by_the_keyboard_and_stays_open(page: Page) -> None:
    button = page.get_by_role("button", name="imp", exact=True)
    assert button.get_attribute("aria-expanded") == "false"
    button.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert button.evaluate("b => getComputedStyle(b).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert page.locator(".unfolded").count() == 1
    page.keyboard.press("Space")
    assert button.get_attribute("aria-expanded") == "false"
    assert page.locator(".unfolded").count() == 0
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Regime").select_option("clean")  # draws the table anew
    assert button.get_attribute("aria-expanded") == "true"
    captions = page.locator(".unfolded figcaption").all_inner_texts()
    assert captions == ["digits · clean · seed-cnn", "digits · clean · test_resnet"]
    page.locator("th", has_text="Score").click()
    wait_for_sorting(page, "Score", "ascending")
    order = page.locator("#board > tbody > tr").evaluate_all("rows => rows.map(r => r.className)")
    assert order.count("detail") == 1
    shown = page.locator("#board > tbody > tr.detail").evaluate(
        "row => row.previousElementSibling.querySelector('.unfold').textContent"
    )
    assert shown == "imp"  # the fold is still below its own row


def test_a_row_unfolds_to_its_curves_and_cells(page: Page, cells: pd.DataFrame) -> None:
    shown = unfold(page, "snip")
    assert shown.locator("figure svg[role=img]").count() == 4
    assert shown.locator("figure svg").first.locator("g[stroke='var(--accent)'] path").count() >= 1
    assert "compression achieved" in (shown.locator("figure svg").first.text_content() or "")
    table = shown.locator("table").first
    titles = table.locator("th").all_inner_texts()
    lines = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
    assert len(lines) == 4 * 6
    own = cells[(cells["method"] == "snip") & (cells["status"] == "ok")]
    for line in lines:
        said = dict(zip(titles, line, strict=True))
        _, regime, model = said["Setting"].split(" · ")
        at = (own["regime"] == regime) & (own["model"] == model)
        share = float(said["Sparsity"].rstrip(" %")) / 100
        errors = own.loc[at & ((own["sparsity"] - share).abs() < 1e-4), "test_error"]
        if said["Status"] == "3 ok":
            assert float(said["Test error (%)"]) == pytest.approx(100 * errors.mean(), abs=0.0051)
            assert float(said["±"]) == pytest.approx(100 * errors.std(), abs=0.0051)
            assert said["Seeds"] == "3"
        else:  # a failed seed is no part of the mean
            assert said["Status"] == "1 diverged, 2 ok"
            assert said["Seeds"] == "2"
        assert said["Epochs"] == "40.0"
        assert len(said["Each seed's test error (%)"].split("; ")) == 3
    failed = shown.locator("table").nth(1).locator("tbody tr").all_inner_texts()
    assert [row.split("\t") for row in failed] == [
        ["digits · clean · seed-cnn", "98.44 %", "1", "diverged", "made up"]
    ]


def test_a_row_unfolds_to_its_recipe(page: Page, board: Layout) -> None:
    shown = unfold(page, "imp")
    command = shown.locator("pre").inner_text()
    assert command == recipes(board).command("imp")
    text = command.split("END_OF_RECIPE'\n")[1].split("END_OF_RECIPE\n")[0]
    found = config.parse(yaml.safe_load(text))
    assert [method.name for method in found.methods] == ["imp", "random"]
    assert found.methods[0] == config.method("imp")
    shown.get_by_role("button", name="Copy").click()
    shown.get_by_role("status").filter(has_text="cop").wait_for()
    dense = unfold(page, "dense")
    assert dense.locator("figure svg").count() == 4
    assert "experiment: trial-dense" in dense.locator("pre").inner_text()


def test_hostile_names_do_nothing(browser: Browser, cells: pd.DataFrame, tmp_path: Path) -> None:
    layout = picture(Layout(tmp_path))
    bad = {"method": {"imp": HOSTILE}, "regime": {"clean": HOSTILE}, "family": {"hybrid": HOSTILE}}
    some = cells[cells["model"] == "seed-cnn"].replace(bad)
    broken = (some["method"] == HOSTILE) & (some["sparsity"] == 0.5)
    some.loc[broken, ["status", "message"]] = ["collapsed", HOSTILE]
    leaderboard.write(some, layout)
    made = browser.new_page()
    alerts: list[str] = []
    made.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    made.on("pageerror", lambda error: alerts.append(str(error)))
    made.goto(layout.leaderboard("html").as_uri())
    made.get_by_role("combobox", name="Regime").select_option(HOSTILE)
    assert HOSTILE in column(made, "Method")
    assert HOSTILE in column(made, "Family")
    assert HOSTILE in unfold(made, HOSTILE).locator("table").nth(1).inner_text()
    assert "No recipe: config.json is not there." in made.locator(".unfolded").inner_text()
    made.get_by_role("searchbox").fill("<img")
    assert column(made, "Method") == [HOSTILE]
    made.wait_for_timeout(100)  # an image that fails to load would say so now
    assert alerts == []
    assert made.locator("#board img, .unfolded img").count() == 0
    made.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_fits_its_window(browser: Browser, path: Path, scheme: str, width: int) -> None:
    made = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    made.goto(path.as_uri())
    shown = unfold(made, "imp")
    assert made.evaluate("document.documentElement.scrollWidth") <= width
    box = shown.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    dark = made.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    made.close()


def test_in_print_nothing_is_unfolded_and_the_controls_are_gone(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(".unfolded").count() == 0
    assert not page.locator("#filters").is_visible()
    assert page.locator(".dt-column-order").evaluate_all(
        "buttons => buttons.every(b => getComputedStyle(b).display === 'none')"
    )
    assert page.locator("#board").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_scripts_the_table_is_there(
    browser: Browser, path: Path, scores: ChoiceTables
) -> None:
    context = browser.new_context(java_script_enabled=False)
    made = context.new_page()
    made.goto(path.as_uri())
    rows = scores.rows[EVERYTHING]
    shown = columns.shown(rows)
    found = [
        made.locator("#board > tbody > tr").nth(i).locator("th, td").all_inner_texts()
        for i in range(len(rows))
    ]
    assert found == [columns.texts(row, shown) for row in rows]
    assert not made.locator("#filters").is_visible()
    context.close()


def test_a_choice_that_the_page_does_not_hold_is_said(
    browser: Browser, cells: pd.DataFrame, tmp_path: Path
) -> None:
    text = pages.html(tables(cells, Analysis(), limit=100), cells, Layout(tmp_path), [])
    write_text(tmp_path / "page.html", text)
    made = browser.new_page()
    made.goto((tmp_path / "page.html").as_uri())
    made.get_by_role("combobox", name="Regime").select_option("clean")
    assert len(column(made, "Method")) == cells["method"].nunique()
    made.get_by_role("combobox", name="Sparsity").select_option("75 %")
    assert made.locator("#state").inner_text().startswith("no scores for clean · 75 %")
    assert made.locator("#board tbody").inner_text() == "nothing to show"
    made.close()


def test_lengths_of_recovery_are_filtered(
    browser: Browser, judged: pd.DataFrame, tmp_path: Path
) -> None:
    wanted = ["dense", "magnitude", "magnitude-10x", "imp-10x"]
    cells = judged[judged["method"].isin(wanted) & (judged["regime"] == "clean")]
    made = picture(Layout(tmp_path))
    leaderboard.write(cells, made)
    with quiet_page(browser, made.leaderboard("html")) as page:
        page.get_by_role("combobox", name="Length of recovery").select_option("10×")
        assert sorted(column(page, "Method")) == ["dense", "imp-10x", "magnitude-10x"]
        page.get_by_role("combobox", name="Length of recovery").select_option("1×")
        assert sorted(column(page, "Method")) == ["dense", "magnitude"]


def test_the_address_holds_what_is_chosen(browser: Browser, path: Path, page: Page) -> None:
    page.get_by_role("combobox", name="Regime").select_option("clean")
    page.get_by_role("searchbox").fill("m")
    page.wait_for_url("**#regime=clean&search=m")  # written a moment after what is shown
    address = page.url
    shown, said = column(page, "Method"), page.locator("#state").inner_text()
    with quiet_page(browser, path) as other:
        other.goto(address)
        other.reload()
        assert column(other, "Method") == shown
        assert other.locator("#state").inner_text() == said
        # an old link may name what is gone
        other.evaluate("location.hash = 'regime=gone'")
        other.wait_for_function("document.forms[0].elements.regime.value === 'all'")
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("location.hash === ''")


def test_highlighted_methods_are_marked(
    browser: Browser, cells: pd.DataFrame, tmp_path: Path
) -> None:
    some = cells[(cells["model"] == "seed-cnn") & (cells["regime"] == "clean")]
    made = Layout(tmp_path)
    names = sorted(set(some["method"]) - {"dense"})
    given = config.parse(
        {
            "experiment": "trial", "tasks": ["digits"], "regimes": ["clean"],
            "models": ["seed-cnn"], "seeds": [0, 1, 2], "methods": names, "sparsities": [0.5],
            "report": {"highlight": ["imp"]},
        }
    )  # fmt: skip
    write_text(made.config, json.dumps(given.model_dump(mode="json")))
    leaderboard.write(some, made)
    with quiet_page(browser, made.leaderboard("html")) as page:
        assert page.locator("#board > tbody > tr.mine").count() == 1
        assert "imp" in page.locator("#board > tbody > tr.mine").inner_text()
    assert "| → imp " in made.leaderboard("md").read_text(encoding="utf-8")


def test_one_length_alone_is_no_choice(page: Page) -> None:
    assert page.get_by_role("combobox", name="Length of recovery").count() == 0
