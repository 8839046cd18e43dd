"""``init`` and ``workflow``: the beginning of a study, and its way through Snakemake."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from prunebench.cli.app import Config, app, example, files, guide, plan_of


@app.command(
    epilog=guide(
        example("init my-study"),
        example("init my-study --like overfit"),
        files("nothing", "my-study.yaml in the working directory"),
    )
)
def init(
    name: Annotated[str, typer.Argument(help="name of the experiment")],
    like: Annotated[
        str | None, typer.Option(help="a configuration that ships, e.g. default, overfit, cifar10")
    ] = None,
) -> None:
    """Write a commented configuration to begin with, and say the next command."""
    from prunebench.experiment.new_study import write_study
    from prunebench.storage.provenance import command_line

    target, called = write_study(name, like), command_line(sys.argv[:1])
    print(f"{target} is written. Edit it, then check it and run it:")
    for command in ("check", "run"):
        print(f"  {called} {command} {target}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=guide(
        example("workflow config/default.yaml --cores 4"),
        example("workflow config/default.yaml --dry-run"),
        files("the configuration", "results/<experiment>/, as run does"),
        "Every further option is Snakemake's: snakemake --help lists them.",
    ),
)
def workflow(config: Config, context: typer.Context) -> None:
    """Run a whole experiment by Snakemake, jobs side by side; further options are Snakemake's.

    The configuration is checked before Snakemake reads it.
    """
    from prunebench.runner.workflow import command
    from prunebench.storage import provenance

    plan_of(config)
    called = command(config, context.args)
    os.environ.setdefault(provenance.COMMAND, provenance.command_line(sys.argv))
    sys.stdout.flush()
    os.execv(called[0], called)  # noqa: S606  # this very Python
