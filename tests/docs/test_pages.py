"""The documentation: its generated parts, what it names, and the site that is built from it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from docs import hooks
from prunebench.cli import app
from prunebench.experiment import config
from prunebench.experiment.part_kinds import KINDS
from prunebench.experiment.registry import builtin
from prunebench.storage.records import COLUMNS
from tests.conftest import ROOT
from tests.test_layers import ROOMS

from .examples import PAGES

DOCS = ROOT / "docs"


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """The script that writes the generated parts."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_up_to_date(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `make docs`"


def test_what_differs_from_its_authors_version_is_a_method_or_a_part() -> None:
    text = (DOCS / "methods.md").read_text("utf-8").partition("authors' versions")[2]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}
    known = {*config.presets("methods")}.union(*map(builtin, KINDS.values()))
    assert {"synflow", "grasp", "snip", "set", "rigl", "gradual", "woodfisher"} <= named <= known
    assert all(len(row) == 3 for row in rows)


def test_every_column_of_the_records_is_explained() -> None:
    """In the table of columns, or as a measure."""
    text = "".join(
        (DOCS / name).read_text("utf-8") for name in ("reading-results.md", "measures.md")
    )
    named = set(re.findall(r"`(\w+)`", text))
    assert not set(COLUMNS) - named


def test_the_readme_and_its_page_report_the_same_findings() -> None:
    """Every interval of the first stands in the second, which has a table more."""
    pages = [(ROOT / "README.md"), (DOCS / "overfitting.md")]
    here, there = (
        re.findall(r"\[[−+]?[\d.]+, [−+]?[\d.]+\]", page.read_text("utf-8")) for page in pages
    )
    assert here
    assert not Counter(here) - Counter(there)


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size < 9_000


def test_the_picture_shows_the_rooms_that_there_are(generate: ModuleType) -> None:
    assert tuple(name for group in generate.ROOMS for name in group) == ROOMS
    picture = (DOCS / "rooms.svg").read_text(encoding="utf-8")
    assert tuple(re.findall(r'font-weight="bold">(\w+)<', picture)) == ROOMS


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_files_that_pages_name_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:prunebench|tests|config|workflows|docs)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), f"{page.name}: {name}"


def commands() -> dict[str, Any]:
    """Every command of the program by its words: ``status``, ``submit check``."""
    found: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():
        below = getattr(command, "commands", {})
        found |= {f"{name} {sub}": each for sub, each in below.items()} or {name: command}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_and_options_are_those_that_there_are(page: Path) -> None:
    known = commands()
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for words in re.findall(r"-m prunebench ([^`\n]+)", text):
        name = next((name for name in sorted(known, reverse=True) if words.startswith(name)), None)
        assert name or words.startswith("<"), f"{page.name}: prunebench {words}"
        if name and known[name].context_settings.get("ignore_unknown_options"):
            continue  # another program's: tests/workflow calls it
        options = {option for each in known[name].params for option in each.opts} if name else ()
        for option in re.findall(r"(?<= )--[\w-]+", words):
            assert option in {*options, "--help"}, f"{page.name}: prunebench {words}"


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", tmp_path],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    pages = sorted(tmp_path.rglob("*.html"))
    assert {path.with_suffix(".html").name for path in DOCS.glob("[!R]*.md")} <= {
        path.name for path in pages
    }
    for page in pages:
        loaded = re.findall(
            r"<(?:script|img|iframe)[^>]* src=\"?(https?:[^\" >]+)|<link[^>]* rel=\"?(?:stylesheet|"
            r"preconnect|icon)\"?[^>]* href=\"?(https?:[^\" >]+)",
            page.read_text(encoding="utf-8"),
        )
        assert not loaded, f"{page.name}: {loaded}"


def test_wide_tables_are_stacked_on_a_telephone_with_the_names_of_their_columns() -> None:
    row = (
        '<tr><td><code>a_name/x.y</code></td><td style="text-align: right;">3</td>'
        f"<td>{'word ' * 12}</td></tr>"
    )
    head = "<thead><tr><th>name</th><th>n</th><th>what <code>it</code> is</th></tr></thead>"
    made = hooks.on_page_content(f"<table>{head}<tbody>{row}</tbody></table>")
    assert made.startswith(f"<table data-stacked>{head}")
    assert '<td data-label="name"><code>a_<wbr>name/<wbr>x.<wbr>y</code></td>' in made
    assert '<td data-label="n" style="text-align: right;">3</td>' in made
    assert '<td data-label="what it is">word' in made
    numbers = "<table><thead><tr><th>a</th><th>b</th><th>c</th></tr></thead><tbody></tbody></table>"
    assert hooks.on_page_content(numbers) == numbers
