"""The executed page: it shows what running it shows, and the script writes what there is."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from tests.conftest import ROOT

DOCS = ROOT / "docs"
NUMBER = re.compile(r"[−+-]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(scope="module")
def notebook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebook", DOCS / "run_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_output_stands_below_its_block_and_replaces_what_stood_there(notebook: ModuleType) -> None:
    page = (
        "# T\n\n```python\na = 2\nprint('said')\na + 1\n```\n\n```text\nold\n```\n\nwords\n\n"
        "```python\nb = a\n```\n\n```python\nfigure = __import__('matplotlib.figure')"
        ".figure.Figure()\nfigure\n```\n\n![kept](notebook-7.png)\n"
    )
    text, pictures = notebook.executed(page)
    assert "```python\na = 2\nprint('said')\na + 1\n```\n\n```text\nsaid\n3\n```\n\nwords" in text
    assert "old" not in text
    assert "```python\nb = a\n```\n\n```python" in text  # what shows nothing has nothing below it
    assert text.endswith("\n```\n\n![kept](notebook-1.png)\n")
    assert [content[:4] for content in pictures.values()] == [b"\x89PNG"]
    assert notebook.executed(text)[0] == text


def test_the_page_has_run(notebook: ModuleType) -> None:
    page = (DOCS / "notebook.md").read_text(encoding="utf-8")
    assert page.count("```text\n") >= 5
    pictures = re.findall(r"\((notebook-\d+\.png)\)", page)
    assert pictures
    assert all((DOCS / name).read_bytes()[:4] == b"\x89PNG" for name in pictures)


@pytest.mark.slow
def test_run_again_it_shows_the_same(notebook: ModuleType) -> None:
    """Words and the form of numbers: times and last digits are the machine's."""
    page = (DOCS / "notebook.md").read_text(encoding="utf-8")
    with notebook.elsewhere():
        text, pictures = notebook.executed(page)

    def form(said: str) -> list[str]:
        return NUMBER.sub("#", said).split()

    assert form(text) == form(page)
    assert set(pictures) == set(re.findall(r"\((notebook-\d+\.png)\)", page))
