"""What is made of an experiment's records, and ``run``, which makes them too."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from prunebench.cli.app import (
    DATA,
    AsJson,
    Config,
    Data,
    Output,
    Results,
    app,
    cells_of,
    plan_of,
    write,
)
from prunebench.errors import PrunebenchError


@app.command()
def run(config: Config, data: Data = DATA) -> None:
    """Run a whole grid in this process, without Snakemake, and write its reports."""
    from prunebench import pipeline

    plan = plan_of(config)
    pipeline.run(plan, data)
    results = plan.layout.root
    for step in (tables, figures, leaderboard, report, kit, summary):
        step(results)


@app.command()
def tables(results: Results) -> None:
    """Write tables/ from cells.csv and latency.csv: CSV, Markdown and LaTeX."""
    from prunebench.report import declared, savings
    from prunebench.report import tables as report

    cells, layout = cells_of(results)
    report.write(cells, layout.tables, declared.analysis(layout))
    savings.write(cells, layout)


@app.command()
def figures(results: Results) -> None:
    """Draw figures/ from cells.csv and layers.csv: PNG and PDF."""
    from prunebench.records import LAYER_COLUMNS
    from prunebench.report import declared, savings
    from prunebench.report import figures as report

    cells, layout = cells_of(results)
    layers = savings.read(layout.layers_csv, LAYER_COLUMNS)
    report.write(cells, layout.figures, declared.analysis(layout), layers)


@app.command()
def leaderboard(results: Results) -> None:
    """Write leaderboard.html, .md and .csv from cells.csv."""
    from prunebench.report import leaderboard as report

    report.write(*cells_of(results))


@app.command()
def report(results: Results) -> None:
    """Write report.html and .md from cells.csv, config.json and figures/."""
    from prunebench.report import paper

    paper.write(*cells_of(results))


@app.command()
def kit(results: Results) -> None:
    """Write paper/ from cells.csv and config.json: numbers, methods, BibTeX, figures, example."""
    from prunebench.report import kit as report

    report.write(*cells_of(results))


@app.command()
def summary(results: Results) -> None:
    """Print a short leaderboard and where everything lies."""
    from prunebench.report import summary as report

    print(report.text(*cells_of(results)))


@app.command()
def track(
    results: Results,
    uri: Annotated[
        str | None, typer.Option(help="an MLflow server; default MLFLOW_TRACKING_URI, else SQLite")
    ] = None,
    output: Output = None,
) -> None:
    """Export an experiment to MLflow; again whenever wanted, nothing is doubled.

    With --output an unreachable server is reported there and does not fail the workflow.
    """
    from prunebench import track as tracking
    from prunebench.layout import Layout

    try:
        done = tracking.export(Layout(results), uri)
    except PrunebenchError as error:
        if output is None:
            raise
        print(f"warning: not exported: {error}", file=sys.stderr)
        write(output, {"exported": False, "message": str(error)})
        return
    print(done, file=sys.stderr)
    write(output, {"exported": True, "message": str(done)})


@app.command()
def status(results: Results, as_json: AsJson = False) -> None:
    """Say how far an experiment is."""
    from prunebench.progress import counts

    found = counts(plan_of(results / "config.json"))
    text = "{done} of {total} cells done, {missing} missing".format(**found)
    print(json.dumps(found) if as_json else text)
