"""``init``: the beginning of a study."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from prunebench.cli.app import RUN, app, example, files, guide


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("init my-study"),
        example("init my-study --like overfit"),
        files("nothing", "my-study.yaml in the working directory"),
    ),
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
