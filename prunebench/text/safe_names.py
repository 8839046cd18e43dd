"""Names from anybody's tables, which are shown in terminals, spreadsheets, pages and papers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from prunebench.errors import PrunebenchError, shown

LONGEST = 100  # signs of a name
# what a spreadsheet reads as the beginning of a formula (OWASP, "CSV injection"), also behind
# what other spreadsheets take for the border of a cell
_FORMULA = re.compile(r"""(^|[;\t])[\s"']*[=+\-@＝＋－＠]""")


def name(text: str) -> str:
    """A name that does no harm wherever it is shown; raise ValueError, with the end of a sentence
    about it, for any other."""
    if not text:
        raise ValueError("is empty")
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} signs")
    if _FORMULA.search(text):
        raise ValueError("begins as a formula, which a spreadsheet would run: write it without")
    if not text.isprintable():
        raise ValueError("holds signs that cannot be seen: write it anew")
    return text


def check(names: Iterable[Any], what: str, where: str) -> None:
    """Raise PrunebenchError for the first that is no harmless name.

    ``what`` they are the names of, ``where`` they stand.
    """
    for text in names:
        try:
            name(str(text))
        except ValueError as error:
            raise PrunebenchError(f"{where}: the {what} {shown(text)} {error}") from None
