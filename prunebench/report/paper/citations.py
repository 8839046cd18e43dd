r"""Citations: entries of references.bib, and texts that cite them.

A text cites as Pandoc's Markdown does, ``[@han2015; @renda2020]``; for LaTeX that becomes
``~\cite{han2015,renda2020}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from prunebench.text.markup import latex_text, markdown_text

SOURCE = Path(__file__).with_name("references.bib")
_ENTRY = re.compile(r"^@\w+\{(\w+),$.*?^\}$", re.MULTILINE | re.DOTALL)
# "Han 2015", "Zhu & Gupta 2018", "He et al. 2022", "Frankle 2019, 2020"
_YEAR = r"(?:1[89]|20)\d\d"
_PAPER = re.compile(
    rf"\b([A-Z][\w-]+)(?: (?:and|&) [A-Z][\w-]+| et al\.)?,? ({_YEAR}(?:, {_YEAR})*)"
)
_CITATION = re.compile(r" ?\[((?:@[\w:./+-]+(?:; )?)+)\]")


@cache
def entries() -> dict[str, str]:
    """Return every entry of references.bib as it stands there, by its key."""
    text = SOURCE.read_text(encoding="utf-8")
    return {found.group(1): found.group(0) for found in _ENTRY.finditer(text)}


def keys(text: str) -> list[str]:
    """Return the keys of the papers that a text names, each once: ``han2015`` for "Han 2015".

    Papers without an entry are among them.
    """
    found = [
        f"{surname.lower()}{year}"
        for surname, years in _PAPER.findall(text)
        for year in years.split(", ")
    ]
    return list(dict.fromkeys(found))


def cite(wanted: Iterable[str]) -> str:
    """Return a citation of these keys behind a space; keys without an entry are left out."""
    known = [key for key in dict.fromkeys(wanted) if key in entries()]
    return citation(known) if known else ""


def citation(wanted: Iterable[str]) -> str:
    """Return a citation of these keys behind a space, whether or not they have an entry here."""
    return f" [{'; '.join(f'@{key}' for key in wanted)}]"


def cited(text: str) -> list[str]:
    """Return the keys that a text cites, each once, sorted."""
    return sorted({key for found in _CITATION.findall(text) for key in _split(found)})


def bibliography(wanted: Iterable[str], more: Mapping[str, str] | None = None) -> str:
    """Return a BibTeX file of these entries.

    Args:
        wanted: their keys.
        more: entries beside those of references.bib, by their keys.

    Raises:
        KeyError: a key has no entry.
    """
    known = {**(more or {}), **entries()}
    return "\n\n".join(known[key] for key in wanted) + "\n"


def latex(text: str) -> str:
    """Return the text for LaTeX, escaped, with its citations."""
    return _rendered(text, latex_text, lambda found: f"~\\cite{{{','.join(found)}}}")


def markdown(text: str) -> str:
    """Return the text for Pandoc's Markdown, escaped, with its citations."""
    return _rendered(text, markdown_text, citation)


def _rendered(text: str, escape: Callable[[str], str], show: Callable[[Sequence[str]], str]) -> str:
    # the pattern's one group makes every second piece a citation
    pieces = _CITATION.split(text)
    return "".join(show(_split(p)) if i % 2 else escape(p) for i, p in enumerate(pieces))


def _split(found: str) -> list[str]:
    return [key.strip().removeprefix("@") for key in found.split(";")]
