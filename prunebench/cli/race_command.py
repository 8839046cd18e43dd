"""``race``: find the best method without running all of the grid."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import RUN, Data, app, cells_of, example, files, guide, plan_of
from prunebench.cli.documents import AsJson, give
from prunebench.storage.layout import DATA


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("race results/reference/overfit --replay"),
        files(
            "the configuration and data/, or with --replay cells.csv and config.json",
            "cells of results/<experiment>/ and race.csv, or with --replay nothing",
        ),
        "Seeds and settings come in a random order; a method that a sequential test shows worse"
        " than the leader is run no more. The last third of the seeds takes no part: there the"
        " winner is run once more, for the report. If it is interrupted, the same command goes on."
        " What it trains are cells of the experiment: run computes the rest.",
    ),
)
def race(
    where: Annotated[
        Path, typer.Argument(help="a configuration; with --replay an experiment's folder")
    ],
    replay: Annotated[
        bool, typer.Option("--replay", help="race over records, and train nothing")
    ] = False,
    sparsity: Annotated[
        float | None, typer.Option(help="the sparsity that counts; default: the mean over all")
    ] = None,
    orders: Annotated[int, typer.Option(min=1, help="random orders that are replayed")] = 200,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Drop methods that are shown worse than the leader; the winner on other seeds."""
    from prunebench.report import race_text

    if not replay:
        from prunebench.runner import racing
        from prunebench.runner.progress import failures

        plan = plan_of(where)
        raced = racing.run(plan, data, sparsity)
        if as_json:
            give(race_text.as_json(raced))
        else:
            print(race_text.text(raced))
        if failed := failures.wholly_failed(plan, as_far_as_computed=True):
            print(f"error: every cell failed of: {', '.join(failed)}", file=sys.stderr)
            raise typer.Exit(1)
        return
    from prunebench.report import declared_analysis
    from prunebench.statistics.race import halve, losses_of, replays

    cells, layout = cells_of(where)
    losses = losses_of(cells, sparsity)
    alpha = declared_analysis.analysis(layout).alpha
    found = replays(losses, alpha, orders)
    halved = replays(losses, alpha, orders, halve)
    if as_json:
        give(race_text.replay_summary(losses, found, halved))
    else:
        print(race_text.replay_text(losses, found, halved))
