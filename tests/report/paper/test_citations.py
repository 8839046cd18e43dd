"""Entries of references.bib, and texts that name and cite them."""

from __future__ import annotations

import re

import pytest

from prunebench.evaluation.measures_table import measure_rows
from prunebench.experiment import catalog, registry
from prunebench.experiment.part_kinds import KINDS
from prunebench.report.paper import citations, cited_papers, methods_text

REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "book": {"author", "title", "publisher", "year"},
    "incollection": {"author", "title", "booktitle", "publisher", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "misc": {"author", "title", "howpublished", "year"},
    "techreport": {"author", "title", "institution", "year"},
}


def _fields(entry: str) -> tuple[str, str, dict[str, str]]:
    """Kind, key and fields of an entry, read as BibTeX does: braces must match."""
    head = re.match(r"@(\w+)\{(\w+),\n", entry)
    assert head is not None
    depth = 0
    for sign in re.sub(r"\\[{}]", "", entry):
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    lines = entry.splitlines()[1:-1]
    found = [re.fullmatch(r"  (\w+) = \{(.+)\},", line) for line in lines]
    assert all(found), lines
    return head.group(1), head.group(2), {m.group(1): m.group(2) for m in found if m}


@pytest.mark.parametrize("key", citations.entries())
def test_every_entry_is_whole(key: str) -> None:
    kind, own, fields = _fields(citations.entries()[key])
    assert own == key
    assert set(fields) >= REQUIRED[kind]
    surname = fields["author"].split(" and ")[0].split()[-1]
    plain = surname.replace('{\\"o}', "oe").replace("\\", "").lower()
    assert key == f"{plain}{fields['year']}"
    if "eprint" in fields:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", fields["eprint"])
        assert fields["archiveprefix"] == "arXiv"


def test_entries_are_sorted_and_all_are_read() -> None:
    text = citations.SOURCE.read_text(encoding="utf-8")
    assert list(citations.entries()) == sorted(citations.entries())
    assert text.count("\n@") == len(citations.entries()) > 70


def test_every_source_that_the_package_names_has_an_entry() -> None:
    named = {method.name: method.paper for method in catalog.methods()}
    for kind in KINDS.values():
        named |= {
            f"{kind.kind} {spec.name}": spec.summary for spec in registry.builtin(kind).values()
        }
    measures = cited_papers.MEASURES | cited_papers.OF_CLASSES
    named |= {name: paper for name, (_, paper) in measures.items()}
    for table in (
        cited_papers.DATA, cited_papers.NOISE, cited_papers.OPTIMIZERS, cited_papers.SCHEDULES,
        methods_text.STATISTICS,
    ):  # fmt: skip
        named |= table
    lacking = {
        name: key for name, text in named.items() for key in citations.keys(text)
        if key not in citations.entries()
    }  # fmt: skip
    assert lacking == {}
    assert sum(bool(citations.keys(text)) for text in named.values()) > 60


def test_sources_of_measures_are_those_that_the_measures_name() -> None:
    said = {row["column"]: citations.keys(row["source"]) for row in measure_rows()}
    for column, (_, paper) in (cited_papers.MEASURES | cited_papers.OF_CLASSES).items():
        assert set(citations.keys(paper)) <= set(said[column]), column
    assert {key for found in said.values() for key in found} <= set(citations.entries())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Set the weights back (Frankle 2019, 2020).", ["frankle2019", "frankle2020"]),
        ("Zhu & Gupta 2018, eq. 1", ["zhu2018"]),
        ("He et al. 2022", ["he2022"]),
        ("Davison and Hinkley 1997, §3.8", ["davison1997"]),
        ("share of zeros, Hu 2016, eq. 1; Hu 2016", ["hu2016"]),
        ("no paper of 2016, at 1024 samples", []),
    ],
)
def test_papers_are_found_in_texts(text: str, found: list[str]) -> None:
    assert citations.keys(text) == found


def test_citations_are_set_for_both_readers() -> None:
    text = f"50 % of a_b{citations.cite(['han2015', 'nobody2099', 'renda2020', 'han2015'])}."
    assert citations.latex(text) == r"50~\% of a\_b~\cite{han2015,renda2020}."
    assert citations.markdown(text) == "50 % of a_b [@han2015; @renda2020]."
    assert citations.cited(text) == ["han2015", "renda2020"]
    assert citations.cite(["nobody2099"]) == ""
