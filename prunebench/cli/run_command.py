"""``run``: an experiment from its configuration to its pages, in this process."""

from __future__ import annotations

import sys

import typer

from prunebench.cli.app import (
    RUN,
    Config,
    Data,
    app,
    example,
    files,
    guide,
    plan_of,
)
from prunebench.cli.page_commands import PAGES, page_writers
from prunebench.cli.results_commands import summary
from prunebench.errors import PrunebenchError
from prunebench.storage.layout import DATA


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
        " python -m prunebench workflow config/default.yaml",
        "Exit status 1: every cell of a method failed; everything else is computed and written.",
    ),
)
def run(config: Config, data: Data = DATA) -> None:
    """Run a whole experiment in this process, without Snakemake, and write its reports."""
    from prunebench.runner import pipeline
    from prunebench.runner.progress import Progress, failures, grid_bar
    from prunebench.runner.progress.whole import step_name
    from prunebench.storage.lock import locked

    plan = plan_of(config)
    results = plan.layout.root
    # to the last page: another command would take what is half written for damaged, and remove it
    with locked(results):
        try:
            with grid_bar(plan):
                pipeline.compute(plan, data, ("collect", *PAGES))
        except PrunebenchError:
            if said := failures.text(plan):
                print(said, file=sys.stderr)
            raise
        # the configuration is one's own
        for step, write_it in page_writers(trust_code=True).items():
            write_it(results)
            Progress(plan).follows(step_name(step))
    summary(results)
    if wanted := ", ".join(plan.experiment.tracking):
        print(
            f"Nothing was exported to {wanted}: python -m prunebench track {results} does it.",
            file=sys.stderr,
        )
    if failed := failures.wholly_failed(plan):
        print(f"error: every cell failed of: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)
