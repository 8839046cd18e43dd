"""The report in a real browser: nothing in the console, nothing asked for, no page too wide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prunebench.report import document
from prunebench.storage.layout import Layout
from tests.report.conftest import quiet_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def path(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = Layout(tmp_path_factory.mktemp("page"))
    layout.figures.mkdir()
    wide = np.full((600, 1500, 3), 255, dtype="uint8")
    Image.fromarray(wide).save(layout.figures / "error-compression-digits.png")
    some = cells[cells["model"] == "seed-cnn"].replace({"method": {"imp": "long-" * 20}})
    document.write(some, layout)
    return layout.report("html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_its_window(browser: Browser, path: Path, scheme: str, width: int) -> None:
    window = {"width": width, "height": 844}
    with quiet_page(browser, path, viewport=window, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paint = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paint == "rgb(20, 23, 27)") == (scheme == "dark")
        # a policy that forbids too much would show the figure as broken
        assert page.evaluate("[...document.images].map((image) => image.naturalWidth)") == [1440]


def test_links_lead_to_sections(browser: Browser, path: Path) -> None:
    page = browser.new_page()
    page.goto(path.as_uri())
    lost = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')]"
        ".filter((a) => !document.getElementById(a.hash.slice(1))).map((a) => a.hash)"
    )
    assert lost == []
    page.get_by_role("link", name="3. The gain follows").click()
    assert page.url.endswith("#hypothesis-3")
    assert page.locator("#hypothesis-3 h3").is_visible()
    page.close()
