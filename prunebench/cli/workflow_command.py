"""``workflow``: Snakemake, once every configuration has been read as plain settings."""

from __future__ import annotations

import os
import sys

import typer

from prunebench.cli.app import RUN, app, example, files, guide


@app.command(
    rich_help_panel=RUN,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=guide(
        example("workflow config/default.yaml --cores 4"),
        example("workflow config/default.yaml --dry-run"),
        files(
            "the configuration and data/",
            "results/<experiment>/: cells, tables, figures, leaderboard, report",
        ),
        "A configuration comes first; all options are Snakemake's. Without --cores, --jobs or"
        " --profile all cores are used. Snakemake itself would run Python that a configuration"
        " holds (__use_yte__) as it reads it, also in a dry run; this command refuses such a file"
        " first.",
    ),
)
def workflow(context: typer.Context) -> None:
    """Run a whole experiment through Snakemake, many jobs at once, and write its reports."""
    from snakemake import cli as snakemake

    from prunebench.experiment.strict_yaml import read_plain
    from prunebench.runner.workflow import arguments
    from prunebench.storage import provenance

    try:
        parser, given = snakemake.parse_args(arguments(context.args))
        # of Snakemake's own arguments, the paths within an installed package say nothing
        os.environ.setdefault(provenance.COMMAND, provenance.command_line(sys.argv))
        for file in given.configfile:
            read_plain(file)
        done = snakemake.args_to_api(given, parser)
    except SystemExit as error:  # of its options' parser; it has said why
        raise typer.Exit(error.code if isinstance(error.code, int) else 1) from None
    raise typer.Exit(0 if done else 1)
