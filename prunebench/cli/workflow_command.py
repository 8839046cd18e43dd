"""``workflow``: Snakemake, once every configuration has been read as plain settings."""

from __future__ import annotations

import typer

from prunebench.cli.app import app, example, files, guide
from prunebench.errors import PrunebenchError


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=guide(
        example("workflow --cores all --configfile config/default.yaml"),
        files(
            "the configuration and data/",
            "results/<experiment>/: cells, tables, figures, leaderboard, report",
        ),
        "All options are Snakemake's; a target stands before them. Snakemake itself would run"
        " Python that a configuration holds (__use_yte__) as it reads it, also in a dry run; this"
        " command refuses such a file first.",
    ),
)
def workflow(context: typer.Context) -> None:
    """Run a whole experiment through Snakemake, many jobs at once, and write its reports."""
    from prunebench.experiment.sources import PACKAGE
    from prunebench.experiment.strict_yaml import read_plain

    snakefile = PACKAGE.parent / "Snakefile"
    if not snakefile.is_file():
        raise PrunebenchError(f"{snakefile} is missing: call this from a checkout, or use run")
    from snakemake import cli as snakemake

    parser, given = snakemake.parse_args(["--snakefile", str(snakefile), *context.args])
    for file in given.configfile:
        read_plain(file)
    raise typer.Exit(0 if snakemake.args_to_api(given, parser) else 1)
