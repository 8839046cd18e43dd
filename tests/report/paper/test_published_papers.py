"""The kit cites the papers of imported results: by the entry given, or by a known name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prunebench.published.column_mapping import ColumnMapping
from prunebench.published.import_table import import_results
from prunebench.report import paper
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics.published_results import read_all
from prunebench.storage.layout import Layout

ENTRY = "@article{DBLP:x/Own20, title = {Own}, year = {2020}}"


def test_imported_papers_are_cited(
    inputs: ReportInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "x"
    shutil.copytree(inputs.layout.root, root)
    layout = Layout(root)
    table = tmp_path / "theirs.csv"
    table.write_text("Algo,sparsity,error\ndense,0,0.1\nM,0.5,0.2\n")
    for name, entry in (("Own 2020", ENTRY), ("Han 2015", ""), ("Nobody 1901", "")):
        mapping = ColumnMapping.model_validate(
            {
                "columns": {"method": "Algo", "test_error": "error", "sparsity": "sparsity"},
                "constants": {"task": "digits", "regime": "clean", "model": "m"},
                "bibtex": entry,
            }
        )
        import_results(table, name, layout, mapping)
    monkeypatch.setattr(paper.one_column, "write", lambda *_, **__: [])
    monkeypatch.setattr(paper, "_page_wide_figure", lambda *_: [])
    paper.write(read_all(layout), layout)
    methods = (layout.paper / "methods.tex").read_text()
    told = "Han 2015~\\cite{han2015}, Nobody 1901 and Own 2020~\\cite{DBLP:x/Own20}"
    assert told in methods
    assert "Own 2020 [@DBLP:x/Own20]" in (layout.paper / "methods.md").read_text()
    bib = (layout.paper / "methods.bib").read_text()
    assert bib.count(ENTRY) == 1
    assert "@inproceedings{han2015," in bib or "@article{han2015," in bib
