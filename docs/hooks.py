"""Bring files of the checkout that pages link to into the site.

Pages link as GitHub shows them: ``../results/reference/overfit/report.md``. Here such a file
becomes part of the site under ``checkout/``, Markdown as a page, and the link is turned to it.
mkdocs then checks these links as it checks all others.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

# a name in the first column of a table, and the signs after which it may break on a telephone
NAME = re.compile(r"(?<=<td><code>)[^<]+(?=</code>)")
BREAKS = re.compile(r"(?<=[/_.-])(?=\w)")
# tables, rows of their bodies, and cells with their alignment
TABLE, ROW = re.compile(r"<table>.*?</table>", re.S), re.compile(r"<tr>\s*<td.*?</tr>", re.S)
HEAD, CELL = re.compile(r"<th[^>]*>(.*?)</th>", re.S), re.compile(r"<td([^>]*)>(.*?)</td>", re.S)
TAG = re.compile(r"<[^>]+>")
MANY, SENTENCE = 3, 50  # columns, and letters
ROOT = Path(__file__).resolve().parents[1]
# a link's target, without its anchor and its title
TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def _in_checkout(uri: str) -> str:
    """The path in the checkout of a file of the site."""
    return uri.removeprefix("checkout/") if uri.startswith("checkout/") else f"docs/{uri}"


def _in_site(path: str) -> str:
    """The path in the site of a file of the checkout."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"checkout/{path}"


def _linked(markdown: str, uri: str) -> list[str]:
    """The paths in the checkout that a page of the site links to."""
    folder = posixpath.dirname(_in_checkout(uri))
    return [
        posixpath.normpath(posixpath.join(folder, target)) for target in TARGET.findall(markdown)
    ]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to, and what that links to."""
    waiting = [file for file in files if file.is_documentation_page()]
    while waiting:
        page = waiting.pop()
        for path in _linked(page.content_string, page.src_uri):
            uri, source = _in_site(path), ROOT / path
            if uri.startswith("checkout/") and source.is_file() and uri not in files.src_uris:
                file = File.generated(
                    config, uri, abs_src_path=str(source), inclusion=InclusionLevel.NOT_IN_NAV
                )
                files.append(file)
                waiting += [file] if file.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links between the checkout's folders into links within the site."""
    uri = page.file.src_uri
    here, there = posixpath.dirname(uri), posixpath.dirname(_in_checkout(uri))

    def turned(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(there, match[1]))
        return posixpath.relpath(_in_site(path), here or ".")

    return TARGET.sub(turned, markdown)


def _stacked(table: re.Match[str]) -> str:
    """Mark a table of many columns whose sentences have little room: a telephone stacks its cells.

    Each cell then has the name of its column with it.
    """
    columns = [TAG.sub("", head).replace('"', "&quot;") for head in HEAD.findall(table[0])]
    rows = [[cell for _, cell in CELL.findall(row)] for row in ROW.findall(table[0])]
    words = {i for row in rows for i, cell in enumerate(row) if len(TAG.sub("", cell)) > SENTENCE}
    if len(columns) < MANY or max(words, default=0) < (1 if len(columns) > MANY else 2):
        return table[0]

    def labelled(row: re.Match[str]) -> str:
        names = iter(columns)

        def named(cell: re.Match[str]) -> str:
            return f'<td data-label="{next(names, "")}"{cell[1]}>{cell[2]}</td>'

        return CELL.sub(named, row[0])

    return ROW.sub(labelled, table[0].replace("<table>", "<table data-stacked>", 1))


def on_page_content(html: str, **_: Any) -> str:
    """Let long names in tables break where people would, and telephones stack wide tables."""
    named = NAME.sub(lambda name: BREAKS.sub("<wbr>", name[0]), html)
    return TABLE.sub(_stacked, named)
