"""One entry of BibTeX, as somebody hands it over to be cited."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"@\w+\s*\{\s*(?P<key>[\w:./+-]+)\s*,.*\}", re.DOTALL)
# accents and letters such as \'e, \"{o}, \c{c}, \ss, \&; TeX would obey a longer word
_COMMAND = re.compile(r"\\[A-Za-z]{3,}|\\$")
LONGEST = 20_000  # signs of an entry


def key_of(entry: str) -> str:
    """Return the key of one entry.

    Args:
        entry: its text, ``@article{key, …}``.

    Raises:
        ValueError: it is no entry, or more than one, or commands TeX.
    """
    text = entry.strip()
    found = _ENTRY.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise ValueError("must be one BibTeX entry: @article{key, title = {…}, year = {…}}")
    depth = 0
    for place, sign in enumerate(text):
        if sign in "{}" and text[place - 1] != "\\":
            depth += 1 if sign == "{" else -1
            if depth < 0 or (depth == 0 and place != len(text) - 1):
                raise ValueError("must be one BibTeX entry, with a brace closed for each opened")
    if depth:
        raise ValueError("must be one BibTeX entry, with a brace closed for each opened")
    if command := _COMMAND.search(text):
        raise ValueError(f"must hold no command of TeX but accents, found {command.group()!r}")
    return found["key"]
