"""Made-up records and what is expensive to compute of them, once for all tests of this room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from prunebench.experiment import config
from prunebench.experiment.settings import Analysis
from prunebench.report import leaderboard
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.leaderboard.subsets import ChoiceTables, tables
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout
from tests.report.made_up import (
    METHODS,
    MODELS,
    REGIMES,
    SPARSITIES,
    every_column,
    judged_twice,
    picture,
    sensitivity,
    synthetic,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def cells() -> pd.DataFrame:
    return synthetic()


@pytest.fixture(scope="session")
def judged(cells: pd.DataFrame) -> pd.DataFrame:
    """One model of two, with how its trainings ended, stopped states and lengths of recovery."""
    return judged_twice(cells[cells["model"] == "seed-cnn"])


@pytest.fixture(scope="session")
def context(cells: pd.DataFrame) -> FigureContext:
    """One model of two, with every column that a figure shows, and many layers pruned alone."""
    made = every_column(cells[cells["model"] == "seed-cnn"])
    return FigureContext.of(made, sensitivity=sensitivity(60))


@pytest.fixture(scope="session")
def scores(cells: pd.DataFrame) -> ChoiceTables:
    """What the page shows for each choice."""
    return tables(cells, Analysis())


@pytest.fixture(scope="session")
def board(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An experiment's folder with its configuration, a figure and its leaderboard."""
    made = picture(Layout(tmp_path_factory.mktemp("board")))
    given = {
        "experiment": "trial", "tasks": ["digits"], "models": [*MODELS], "seeds": [0, 1, 2],
        "regimes": [REGIMES[0], {"name": REGIMES[1], "label_noise": 0.4}],
        "methods": [*METHODS], "sparsities": [*SPARSITIES],
    }  # fmt: skip
    write_text(made.config, config.parse(given).model_dump_json())
    leaderboard.write(cells, made)
    return made


@contextmanager
def quiet_page(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """Open a page that must write nothing to the console and ask the network for nothing."""
    page = browser.new_page(**options)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium; tests that need it are skipped where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium")
    api = pytest.importorskip("playwright.sync_api")
    arguments = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ]  # fmt: skip
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=found, args=arguments)
        yield made
        made.close()
