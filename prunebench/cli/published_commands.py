"""``import``, ``compare`` and ``anchors``: one's own results beside those of others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import COMPARE, AsJson, app, example, files, guide

DEFAULT = Path("results/default")


@app.command(
    rich_help_panel=COMPARE,
    name="import",
    epilog=guide(
        example("import their.csv --as Tanaka2020 --into results/default --column method=Algo"),
        files("the table, config.json", "published/ of the experiment"),
    ),
)
def import_(
    table: Annotated[Path, typer.Argument(help="a tidy CSV with a row for each cell")],
    name: Annotated[str, typer.Option("--as", help='who published them: "Tanaka 2020"')],
    into: Annotated[Path, typer.Option(help="the experiment to show them in")] = DEFAULT,
    column: Annotated[
        list[str] | None, typer.Option(help="the name of a column in the table: method=Algo")
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
    mapping: Annotated[
        Path | None, typer.Option(help="a YAML file: columns, constants, values, units, dense, …")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace what was imported under this name")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show published results beside an experiment's own, marked: published, not re-run."""
    from prunebench.published.column_mapping import read_mapping
    from prunebench.published.import_table import import_results
    from prunebench.storage.layout import Layout

    how = read_mapping(mapping, column or (), constant or (), unit or (), dense, dense_at_zero)
    done = import_results(table, name, Layout(into), how, replace)
    for note in done.notes:
        print(f"note: {table}: {note}", file=sys.stderr)
    said = {"path": str(done.path), "outcome": done.outcome, "cells": len(done.cells)}
    text = f"{done.path}: {done.outcome}, {len(done.cells)} cells; make tables and pages again"
    print(json.dumps({**said, "notes": done.notes}) if as_json else text)


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

    cells = others.read(a), others.read(b)
    found = others.compare(*cells, (str(a), str(b)), tolerance)
    print(others.as_json(found) if as_json else others.text(found))
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
    print(judged.as_json(found) if as_json else judged.markdown(found))
    if judged.contradicted(found):
        raise typer.Exit(1)
