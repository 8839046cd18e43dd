"""``analyse``: the statistics of any table of results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import LOOK, app, example, files, guide
from prunebench.cli.documents import AsJson, give


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("analyse results/reference/default/cells.csv --json"),
        files("the table", "nothing but --output"),
    ),
)
def analyse(
    table: Annotated[
        Path, typer.Argument(help="a tidy CSV with columns method, sparsity, test_error, …")
    ],
    baseline: Annotated[
        str, typer.Option(help="the method that others are compared with")
    ] = "dense",
    reference: Annotated[
        str, typer.Option(help="another method that they are compared with")
    ] = "random",
    primary: Annotated[
        str,
        typer.Option(
            help="methods whose p-values Holm's procedure adjusts: a,b; default: all but controls"
        ),
    ] = "",
    equivalence: Annotated[
        float, typer.Option(help="half-width of the region of equivalence, in points of test error")
    ] = 0.5,
    unit: Annotated[
        str,
        typer.Option(help="what test_error holds: error-share or accuracy-share"),
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="a folder for scores.csv, scores.md and the forest plot")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the methods of any table of results, also of published ones."""
    from prunebench.report import analysed_table
    from prunebench.statistics import read_table

    cells, notes = read_table(table)
    cells = analysed_table.as_errors(cells, unit, str(table))
    names = [name.strip() for name in primary.split(",") if name.strip()]
    found = analysed_table.analyse(cells, baseline, reference, names, equivalence)
    for note in notes:
        print(f"note: {table}: {note}", file=sys.stderr)
    if output is not None:
        for path in analysed_table.write(found, output):
            print(f"wrote {path}", file=sys.stderr)
    if as_json:
        give(analysed_table.document(found))
    else:
        print(analysed_table.text(found))
