"""Names from other people's tables, made safe for terminals, spreadsheets, pages and papers."""

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
    """Return a name that does no harm wherever it is shown.

    Raises:
        ValueError: the name is not safe; the message is the end of a sentence about it.
    """
    if not text:
        raise ValueError("is empty")
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} signs")
    if _FORMULA.search(text):
        raise ValueError("begins as a formula, which a spreadsheet would run: write it without")
    if not text.isprintable():
        raise ValueError("holds signs that cannot be seen: write it again")
    return text


def file_part(text: str) -> str:
    """Return a name as part of a file name: what could be a path or a pattern becomes ``_``."""
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in text)


def check(names: Iterable[Any], what: str, where: str) -> None:
    """Check that all names are safe.

    Args:
        names: the names.
        what: what they name, for the message.
        where: the file or option that holds them, for the message.

    Raises:
        PrunebenchError: a name is not safe; the message names the first one.
    """
    for text in names:
        try:
            name(str(text))
        except ValueError as error:
            raise PrunebenchError(f"{where}: the {what} {shown(text)} {error}") from None
