"""The tables that a reader finds in a page or in Markdown."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path


class Rows(HTMLParser):
    """The texts of every table of a page, row by row."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def of_html(path: Path) -> list[list[str]]:
    """The texts of every row of every table of a page, headers included."""
    return [[cell.strip() for cell in row] for row in Rows(path).rows]


def of_markdown(path: Path) -> list[list[str]]:
    """The texts of every row of every table of a Markdown file, headers included."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    texts = [[html.unescape(re.sub(r"\\(.)", r"\1", c.strip())) for c in row] for row in rows]
    return [row for row in texts if not all(re.fullmatch("-+:?", cell) for cell in row)]
