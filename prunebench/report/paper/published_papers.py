"""The papers of published results that stand beside an experiment's own."""

from __future__ import annotations

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.report.paper import citations
from prunebench.statistics.published_results import citation_file, others, published_files
from prunebench.storage.files import local, read_text
from prunebench.storage.layout import Layout
from prunebench.text import bibtex
from prunebench.text.numbers import listed


def entries(layout: Layout) -> dict[str, tuple[str, str]]:
    """Return the key and the entry of each source that was imported with one.

    Raises:
        PrunebenchError: an entry is none, or cannot be read; the message names the file.
    """
    found = {}
    for path in published_files(layout):
        file = citation_file(path)
        if not file.is_file():
            continue
        entry = read_text(file).strip()
        try:
            key = bibtex.key_of(entry)
        except ValueError as error:
            raise PrunebenchError(f"{file} {error}; import the results again") from None
        table = pd.read_csv(local(path), usecols=["source"], nrows=1, dtype=str)
        source = table["source"].iloc[0]
        found[source] = key, entry
    return found


def sentence(cells: pd.DataFrame, cited: dict[str, tuple[str, str]]) -> str:
    """Return what the methods say of published results, with citations; "" where there are none.

    A source without an entry of its own is cited where its name, "Tanaka 2020", is that of a paper
    in references.bib.

    Args:
        cells: the records, published ones among them.
        cited: of ``entries``.
    """
    named = [f"{name}{_citation(name, cited)}" for name, _ in others(cells)]
    if not named:
        return ""
    return f"Beside what was run stand results as they were published, not re-run: {listed(named)}."


def _citation(name: str, cited: dict[str, tuple[str, str]]) -> str:
    if name in cited:
        return citations.citation([cited[name][0]])
    return citations.cite(citations.keys(name))
