"""Commands that export an experiment to trackers."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import typer

from prunebench.cli.app import (
    JOBS,
    PUBLISH,
    Output,
    Results,
    app,
    example,
    files,
    guide,
    step_counted,
    write,
)
from prunebench.errors import PrunebenchError, Unwritable
from prunebench.storage.layout import Layout
from prunebench.storage.outputs import manifest_of, recorded


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
    """Export an experiment to MLflow, and to what its `tracking:` names; again, nothing is doubled.

    With --output, an unreachable server is reported in that file and is no error.
    """
    from prunebench import tracking as tracking
    from prunebench.tracking.trackers import MLFLOW, export_to_others, trackers_of

    layout = Layout(results)
    if output is None:
        with suppress(Unwritable):  # where nothing can be made anew, to read is enough
            # the workflow shall not take what is new for damage
            manifest_of(layout, "track").remove()
        if uri or MLFLOW in trackers_of(layout):
            print(said := tracking.export(layout, uri), file=sys.stderr)
            print(f"to look at it: {tracking.way_to(layout, said)}", file=sys.stderr)
        for done in export_to_others(layout):
            print(done, file=sys.stderr)
        return
    with recorded(layout, "track") as outputs:
        try:
            exported = tracking.export(layout, uri) if MLFLOW in trackers_of(layout) else None
            told = [*([str(exported)] if exported else []), *export_to_others(layout)]
        except PrunebenchError as error:
            print(f"warning: not exported: {error}", file=sys.stderr)
            write(output, {"exported": False, "message": str(error)})
        else:
            print("\n".join(told), file=sys.stderr)
            beside = exported.beside if exported else None
            write(output, {"exported": True, "message": "; ".join(told), "beside": beside})
            outputs += exported.files if exported else ()
    step_counted(layout, "track")


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("track-cells results/default"),
        files(
            "cells.csv, config.json, histories",
            "results/mlflow.db, or to the server",
        ),
    ),
)
def track_cells(results: Results, output: Output = None) -> None:
    """Export the runs of cells to MLflow, while tables and figures are made; track does the rest.

    With --output, an unreachable server is reported in that file and is no error.
    """
    from prunebench import tracking as tracking
    from prunebench.tracking.trackers import MLFLOW, trackers_of

    layout = Layout(results)
    try:
        exported = tracking.export(layout, whole=False) if MLFLOW in trackers_of(layout) else None
    except PrunebenchError as error:
        if output is None:
            raise
        write(output, {"exported": False, "message": str(error)})
    else:
        if exported:
            print(exported, file=sys.stderr)
        write(output, {"exported": bool(exported), "message": str(exported or "")})
