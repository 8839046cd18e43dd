"""Commands that work on an experiment's results, and ``run``, which computes them all."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext, suppress
from typing import Annotated

import typer

from prunebench.cli.app import (
    LOOK,
    PUBLISH,
    RUN,
    AsJson,
    Config,
    Data,
    Output,
    Results,
    app,
    cells_of,
    example,
    files,
    guide,
    plan_of,
    write,
)
from prunebench.errors import PrunebenchError, Unwritable
from prunebench.storage.layout import DATA
from prunebench.storage.outputs import manifest_of, recorded
from prunebench.text.progress_bars import bar


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("run config/default.yaml"),
        files(
            "the configuration and data/",
            "results/<experiment>/: cells, tables, figures, leaderboard, report",
        ),
        "If it is killed or interrupted, the same command goes on from the last finished cell."
        " Snakemake runs the same jobs side by side:"
        " snakemake --cores all --configfile config/default.yaml",
    ),
)
def run(config: Config, data: Data = DATA) -> None:
    """Run a whole experiment in this process, without Snakemake, and write its reports."""
    from prunebench.runner import pipeline
    from prunebench.runner.progress import failures, grid_bar

    plan = plan_of(config)
    try:
        with grid_bar(plan):
            pipeline.run(plan, data)
    except PrunebenchError:
        if said := failures.text(plan):
            print(said, file=sys.stderr)
        raise
    results = plan.layout.root
    for step in (tables, figures, leaderboard, report, paper):
        print(f"writing {step.__name__}", file=sys.stderr)
        step(results)
    summary(results)
    print(
        f"Nothing was exported to MLflow: python -m prunebench track {results} does it.",
        file=sys.stderr,
    )


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("tables results/default"), files("cells.csv, latency.csv, config.json", "tables/")
    ),
)
def tables(results: Results) -> None:
    """Write tables/ from cells.csv and latency.csv: CSV, Markdown and LaTeX."""
    from prunebench.report import declared_analysis
    from prunebench.report.tables import compression_tables, tolerance_tables, training_tables
    from prunebench.report.tables import paper_tables as report

    cells, layout = cells_of(results)
    with bar("tables"), recorded(layout, "tables") as outputs:
        judged, mine = declared_analysis.analysis(layout), declared_analysis.highlighted(layout)
        outputs += report.write(cells, layout.tables, judged, mine)
        outputs += compression_tables.write(cells, layout)
        outputs += training_tables.write(cells, layout.tables, judged, mine)
        outputs += tolerance_tables.write(cells, layout.tables, judged)


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("figures results/default"), files("cells.csv, layers.csv, config.json", "figures/")
    ),
)
def figures(results: Results) -> None:
    """Draw figures/ from cells.csv and layers.csv: PNG and PDF."""
    from prunebench.report import declared_analysis
    from prunebench.report import figures as report
    from prunebench.report.tables import compression_tables
    from prunebench.storage.records import LAYER_COLUMNS

    cells, layout = cells_of(results)
    layers = compression_tables.read(layout.layers_csv, LAYER_COLUMNS)
    with recorded(layout, "figures") as outputs:
        outputs += report.write(
            cells, layout.figures, declared_analysis.analysis(layout), layers,
            declared_analysis.highlighted(layout),
        )  # fmt: skip


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("leaderboard results/default"),
        files("cells.csv, config.json, figures/", "leaderboard.html, .md, .csv"),
    ),
)
def leaderboard(results: Results) -> None:
    """Write leaderboard.html, .md and .csv from cells.csv."""
    from prunebench.report import leaderboard as report

    cells, layout = cells_of(results)
    with bar("leaderboard"), recorded(layout, "leaderboard") as outputs:
        outputs += report.write(cells, layout)


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("report results/default"),
        files("cells.csv, config.json, figures/", "report.html, .md"),
    ),
)
def report(results: Results) -> None:
    """Write report.html and .md from cells.csv, config.json and figures/."""
    from prunebench.report import document

    cells, layout = cells_of(results)
    with bar("report"), recorded(layout, "report") as outputs:
        outputs += document.write(cells, layout)


@app.command(
    rich_help_panel=PUBLISH,
    epilog=guide(example("paper results/default"), files("cells.csv, config.json", "paper/")),
)
def paper(results: Results) -> None:
    """Write paper/ from cells.csv and config.json: numbers, methods, BibTeX, figures, example."""
    from prunebench.report import paper as report

    cells, layout = cells_of(results)
    with bar("paper"), recorded(layout, "kit") as outputs:
        outputs += report.write(cells, layout)


@app.command(
    hidden=True,
    epilog=guide(example("kit results/default"), files("cells.csv, config.json", "paper/")),
)
def kit(results: Results) -> None:
    """Do what ``paper`` does: its former name."""
    print("note: kit is now called paper; the old name will go", file=sys.stderr)
    paper(results)


@app.command(
    name="ro-crate",
    rich_help_panel=PUBLISH,
    epilog=guide(
        example("ro-crate results/default"),
        files(
            "provenance.json, workflow/ and what it describes: config.json, records, tables,"
            " figures, leaderboard, report",
            "ro-crate-metadata.json",
        ),
        "The profile is Workflow Run Crate 0.5. Snakemake must have run the experiment.",
    ),
)
def ro_crate(results: Results) -> None:
    """Describe an experiment's folder as a Workflow Run RO-Crate: what ran, on what, results."""
    from prunebench.storage import ro_crate as run_crate
    from prunebench.storage.layout import Layout

    layout = Layout(results)
    with recorded(layout, "crate") as outputs:
        outputs.append(run_crate.write(layout))


@app.command(
    hidden=True,
    epilog=guide(example("crate results/default"), files("as ro-crate", "ro-crate-metadata.json")),
)
def crate(results: Results) -> None:
    """Do what ``ro-crate`` does: its former name."""
    print("note: crate is now called ro-crate; the old name will go", file=sys.stderr)
    ro_crate(results)


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("summary results/default"), files("cells.csv, config.json, logs/", "nothing")
    ),
)
def summary(results: Results, as_json: AsJson = False) -> None:
    """Print a short leaderboard, where the files are, and what failed."""
    from prunebench.report import terminal_summary as report
    from prunebench.runner.progress import failures
    from prunebench.storage import provenance

    cells, layout = cells_of(results)
    said = failures.text(plan_of(layout.config)) if layout.config.is_file() else ""
    if as_json:
        print(json.dumps({**report.as_json(cells, layout), "faults": said.splitlines()}))
        return
    print(report.text(cells, layout))
    if old := provenance.outdated(layout.provenance, layout.config, layout.cells_csv):
        print(f"warning: {old}\n")
    if said:
        print(said)


@app.command(
    rich_help_panel=PUBLISH,
    epilog=guide(
        example("track results/default"),
        files(
            "cells.csv, config.json, histories, tables, figures, pages",
            "results/mlflow.db and results/mlartifacts/, or to the server",
        ),
        "To look at it: mlflow ui --backend-store-uri sqlite:///results/mlflow.db",
    ),
)
def track(
    results: Results,
    uri: Annotated[
        str | None, typer.Option(help="an MLflow server; default MLFLOW_TRACKING_URI, else SQLite")
    ] = None,
    output: Output = None,
) -> None:
    """Export an experiment to MLflow. If it is exported again, nothing is doubled.

    With --output, an unreachable server is reported in that file and is no error.
    """
    from prunebench import tracking as tracking
    from prunebench.storage.layout import Layout

    layout = Layout(results)
    if output is None:
        with suppress(Unwritable):  # where nothing can be made anew, to read is enough
            # the workflow shall not take what is new for damage
            manifest_of(layout, "track").remove()
        print(tracking.export(layout, uri), file=sys.stderr)
        return
    with recorded(layout, "track") as outputs:
        try:
            done = tracking.export(layout, uri)
        except PrunebenchError as error:
            print(f"warning: not exported: {error}", file=sys.stderr)
            write(output, {"exported": False, "message": str(error)})
        else:
            print(done, file=sys.stderr)
            write(output, {"exported": True, "message": str(done), "beside": done.beside})
            outputs += done.files


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("status results/default"),
        files("config.json, every record, jobs/running/, logs/", "nothing"),
        "A job that holds its lock is running; one that began and holds none was killed. The time"
        " left is estimated from the seconds that cells like the missing ones took.",
    ),
)
def status(results: Results, as_json: AsJson = False) -> None:
    """Show what is done, running, failed, under-trained or missing, and how long the rest takes."""
    from prunebench.runner.progress import state

    found = state(plan_of(results / "config.json"))
    print(json.dumps(found.as_json()) if as_json else found)


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("check-files results/default"),
        files("every file of the experiment, and its data", "nothing new; see below"),
        "Every run checks files that were changed since they were written. This command reads"
        " them all: use it after a failure of the disk, or once they were copied. It names what is"
        " damaged and takes it out of the list of what is done, so that the command that made the"
        " experiment computes it again, and nothing else. In a read-only folder it changes"
        " nothing.",
    ),
)
def check_files(results: Results, data: Data = DATA, as_json: AsJson = False) -> None:
    """Compare every file of an experiment with its hash; what is damaged can be computed again."""
    from prunebench.experiment import prepared_data
    from prunebench.runner import damaged_files
    from prunebench.storage import outputs
    from prunebench.storage.lock import locked

    plan, mend = plan_of(results / "config.json"), os.access(results, os.W_OK)
    with locked(plan.layout.root) if mend else nullcontext(), bar("reading every file"):
        found = damaged_files.damaged(plan, data, thorough=True, mend=mend)
    absent = [t.name for t in plan.experiment.tasks if not prepared_data.prepared(t, data).exists()]
    unnoted = outputs.without_manifest(plan.layout)
    if as_json:
        named = list(map(str, found))
        print(json.dumps({"damaged": named, "not_noted": unnoted, "without_data": absent}))
    else:
        print(damaged_files.said(found) or "every file that was looked at is as it was written")
        for what, names in (("no hash is noted", unnoted), (f"no data in {data}", absent)):
            if names:
                print(f"not looked at, {what}: {', '.join(names)}")
    if found:
        print("run the experiment's command again: it computes these again", file=sys.stderr)
        raise typer.Exit(1)
