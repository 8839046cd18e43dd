"""``import``, ``compare`` and ``anchors``: one's own results beside those of others."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import COMPARE, app, example, files, guide
from prunebench.cli.documents import AsJson, give
from prunebench.published.shipped_mappings import shipped_names
from prunebench.text.numbers import plural

SHIPPED = shipped_names()
DEFAULT = Path("results/default")


@app.command(
    rich_help_panel=COMPARE,
    name="import",
    epilog=guide(
        example("import their.csv --as Tanaka2020 --into results/default --column method=Algo"),
        files("the table, config.json", "published/ of the experiment"),
        "Afterwards, to make tables, figures and pages again: python -m prunebench remake RESULTS."
        " Mappings that ship: " + ", ".join(SHIPPED) + ".",
    ),
)
def import_(
    table: Annotated[
        Path,
        typer.Argument(
            help="a CSV or Parquet with a row for each cell, also packed; or a folder of open_lth"
        ),
    ],
    name: Annotated[str, typer.Option("--as", help='who published them: "Tanaka 2020"')],
    into: Annotated[Path, typer.Option(help="the experiment to show them in")] = DEFAULT,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="the name of a column there: method=Algo; given twice, a name of two columns"
        ),
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option("--set", help="a value of all rows: task=cifar10")
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(help="accuracy-percent, error-share, compression-ratio, density-percent, …"),
    ] = None,
    dense: Annotated[
        str | None, typer.Option(help="method that stands for the unpruned network")
    ] = None,
    dense_at_zero: Annotated[
        bool,
        typer.Option(
            "--dense-at-zero", help="any method's rows at compression 1 are the unpruned network's"
        ),
    ] = False,
    dense_file: Annotated[
        Path | None, typer.Option(help="the table of the unpruned networks, where it is another")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="rows that are taken: \"network == 'resnet20'\"")
    ] = None,
    number_seeds: Annotated[
        bool, typer.Option("--number-seeds", help="rows of the same cell are its seeds, in order")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(help="of the table's text: latin-1, cp1252, …; default UTF-8")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="a YAML file (columns, constants, values, …), or one that ships"),
    ] = None,
    cite: Annotated[
        Path | None, typer.Option(help="a BibTeX file with the paper's entry, for paper/")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace what was imported under this name")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show published results beside an experiment's own, marked: published, not re-run."""
    from prunebench.published.column_mapping import read_mapping
    from prunebench.published.import_table import import_results
    from prunebench.storage.files import read_text
    from prunebench.storage.layout import Layout

    how = read_mapping(
        mapping, column or (), constant or (), unit or (), where, dense=dense, encoding=encoding,
        dense_at_zero=dense_at_zero or None, number_seeds=number_seeds or None,
        bibtex=None if cite is None else read_text(cite),
    )  # fmt: skip
    done = import_results(table, name, Layout(into), how, replace, dense_file)
    for note in done.notes:
        print(f"note: {table}: {note}", file=sys.stderr)
    said = {"path": str(done.path), "outcome": done.outcome, "cells": len(done.cells)}
    again = f"python -m prunebench remake {shlex.quote(str(into))}"
    text = (
        f"{done.path}: {done.outcome}, {plural(len(done.cells), 'cell')}; make all again: {again}"
    )
    if as_json:
        give({**said, "notes": done.notes})
    else:
        print(text)


@app.command(
    rich_help_panel=COMPARE,
    epilog=guide(
        example("compare results/default results/reference/default --tolerance 0.5"),
        files("cells.csv of both", "nothing"),
    ),
)
def compare(
    a: Annotated[Path, typer.Argument(help="an experiment's folder, or a cells.csv")],
    b: Annotated[Path, typer.Argument(help="the other one")],
    tolerance: Annotated[
        float, typer.Option(help="points of test error that make no difference; 0: bit by bit")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Compare two experiments cell by cell; exit status 0: they agree, 1: they differ."""
    from prunebench.published import compare_experiments as others
    from prunebench.published.protocol_differences import protocol_differences

    cells = others.read(a), others.read(b)
    differing = protocol_differences(a, b)
    found = others.compare(*cells, (str(a), str(b)), tolerance, differing)
    if as_json:
        give(json.loads(others.as_json(found)))
    else:
        print(others.text(found))
    if not found.agrees:
        raise typer.Exit(1)


@app.command(
    rich_help_panel=COMPARE,
    epilog=guide(
        example("anchors config/anchors"),
        files(
            "the folder's configurations and published figures, cells.csv of their experiments",
            "anchors.csv and anchors.md to --output",
        ),
        "To run them first, on a GPU: make anchors.",
    ),
)
def anchors(
    folder: Annotated[
        Path, typer.Argument(help="configurations x.yaml, each with its x.published.csv")
    ] = Path("config/anchors"),
    results: Annotated[
        Path, typer.Option(help="the folder that holds a folder for each experiment")
    ] = Path("results"),
    output: Annotated[Path, typer.Option(help="a folder for the verdicts")] = Path(
        "results/anchors"
    ),
    as_json: AsJson = False,
) -> None:
    """Judge published figures by one's own runs of them; exit status 1: one lies outside."""
    from prunebench.published import anchors as judged

    found = judged.judge_folder(folder, results)
    for path in judged.write(found, output):
        print(f"wrote {path}", file=sys.stderr)
    if as_json:
        give(json.loads(judged.as_json(found)))
    else:
        print(judged.markdown(found))
    if judged.contradicted(found):
        raise typer.Exit(1)
