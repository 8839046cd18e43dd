"""The real MLflow UI in a real browser: names, description, artifacts, a curve's charts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prunebench.tracking import export
from tests.report.conftest import browser  # noqa: F401  # a fixture
from tests.tracking import helpers as made_up
from tests.tracking.looking import free_port, runs_of, server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
WAIT = 120_000  # milliseconds; a busy machine takes long to draw


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:  # noqa: F811
    made = browser.new_page(viewport={"width": 1500, "height": 1400})
    made.set_default_timeout(WAIT)
    yield made
    made.close()


def picture(page: Page, name: str) -> None:
    """To be looked at, where PICTURES names a folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_what_people_see(tmp_path: Path, results: Path, schema: bytes, page: Page) -> None:
    layout, _ = made_up.experiment(results / "smoke", seeds=2, sparsities=made_up.SPARSITIES)
    (tmp_path / "server.db").write_bytes(schema)
    port = free_port()
    with server(tmp_path, port):
        uri = f"http://127.0.0.1:{port}"
        export(layout, uri)
        runs = runs_of(layout, uri)
        top = runs["experiment"].info
        curve = runs["digits/noisy-40/test_resnet/seed-0/imp"].info
        base = f"{uri}/#/experiments/{top.experiment_id}/runs"
        page.goto(base)
        page.get_by_text("smoke: the whole grid").first.wait_for()
        page.get_by_text("imp · digits noisy-40 · test_resnet · seed 0").first.wait_for()
        picture(page, "list")
        page.goto(f"{base}?searchFilter=tags.level%20%3D%20'curve'&compareRunsMode=CHART")
        page.get_by_text("curve/test_error", exact=True).first.wait_for()
        page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
        picture(page, "chart")
        page.goto(f"{base}/{curve.run_id}/model-metrics")
        page.get_by_text("test_error", exact=True).first.wait_for()
        # a line through the dense baseline and six sparsities, not a bar
        first = page.locator(".js-plotly-plot .scatterlayer .trace").first
        first.wait_for()
        assert first.locator(".points path").count() == 7
        picture(page, "curve")
        page.goto(f"{base}/{top.run_id}")
        page.get_by_role("heading", name="The grid").wait_for()
        page.locator("button", has_text="Show more").first.click(timeout=30_000)
        for name in ("Leaderboard", "Where to look"):
            page.get_by_role("heading", name=name).wait_for()
        assert page.get_by_text("26: 26 ok").count() == 1
        picture(page, "description")
        page.goto(f"{base}/{top.run_id}/artifacts")
        page.get_by_text("leaderboard.html").first.click()
        page.frame_locator("iframe").get_by_role("heading", name="Leaderboard").wait_for()
        picture(page, "artifacts")
