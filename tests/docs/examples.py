"""The examples on the pages that users read: README, CONTRIBUTING and docs/."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# minutes: tests/workflow/test_fresh.py, marked slow
SET_UP = ("make benchmark\n", "make test\n")
_SUBMISSION = (ROOT / "docs" / "reproduce-and-submit.md").read_text(encoding="utf-8")
# the worked example that tests/submission follows from its first block to its last
SUBMISSION = _SUBMISSION[_SUBMISSION.index("## Submit a method") :].split("\n## ")[0]


def blocks(language: str, text: str) -> list[str]:
    """Return the fenced blocks of a language in a text, in order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def examples(language: str) -> list[tuple[Path, str]]:
    """Return each block of a language with its page; one that stands on two pages once."""
    found: dict[str, Path] = {}
    for page in PAGES:
        for block in blocks(language, page.read_text(encoding="utf-8")):
            found.setdefault(block, page)
    return [(page, block) for block, page in found.items()]


def commands() -> list[str]:
    """Return every block of commands that is to run on a finished grid, as it stands.

    Last come imports: they change what tables and pages are made from.
    """
    elsewhere = {*SET_UP, *blocks("bash", SUBMISSION)}
    found = [block for _, block in examples("bash") if block not in elsewhere]
    return sorted(found, key=lambda block: " import " in block)
