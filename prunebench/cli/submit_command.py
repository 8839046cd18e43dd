"""``submit``: pack a method with its records into a folder, and check such a folder."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import (
    PUBLISH,
    Data,
    TrustCode,
    app,
    example,
    files,
    guide,
)
from prunebench.cli.documents import AsJson, give
from prunebench.cli.verify_command import Sample, Seed, seed_of
from prunebench.storage.layout import DATA
from prunebench.text.numbers import plural
from prunebench.text.private import paths_in

submit = typer.Typer(no_args_is_help=True, help="Submit a method with its records.")
app.add_typer(submit, name="submit", rich_help_panel=PUBLISH)


@submit.command(
    epilog=guide(
        example("submit pack results/mine submissions/mine --method mine"),
        files("a finished experiment", "the folder"),
    )
)
def pack(
    results: Annotated[Path, typer.Argument(help="a finished experiment: results/x")],
    folder: Annotated[Path, typer.Argument(help="the folder to make")],
    method: Annotated[str, typer.Option(help="the method to submit")],
    description: Annotated[str, typer.Option(help="what it does, in a sentence")] = "",
    paper: Annotated[str, typer.Option(help="paper that describes it, e.g. Han 2015")] = "",
    contact: Annotated[str, typer.Option(help="whom to ask; public")] = "",
) -> None:
    """Copy what a submission needs to a folder: configuration, records, masks, Python files."""
    from prunebench.experiment.validation import validated
    from prunebench.reproduce.submission import pack as packing
    from prunebench.reproduce.submission.submission_folder import Form
    from prunebench.storage.files import read_json

    given = {"name": folder.name, "method": method, "description": description}
    form = validated(Form, {**given, "paper": paper, "contact": contact}, "submit pack")
    files = packing.pack(results, folder, form)
    if paths := paths_in(read_json(folder / "config.json")):
        print(
            f"warning: {folder / 'config.json'} names places of this machine, for everybody to"
            f" read: {', '.join(paths)}; paths below the working directory would not",
            file=sys.stderr,
        )
    size = sum(path.stat().st_size for path in files)
    print(f"{folder}: {plural(len(files), 'file')}, {size / 1e6:.1f} MB")


@submit.command(
    epilog=guide(
        example("submit check submissions/mine --sample 1"),
        files("the folder, data/", "nothing"),
        "Without --trust-code what needs the Python of the submission is not run: read that first.",
    )
)
def check(
    folder: Annotated[Path, typer.Argument(help="a submission's folder, with submission.yaml")],
    sample: Sample = 3,
    seed: Seed = None,
    data: Data = DATA,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
) -> None:
    """Check a submission and compute some of its cells again.

    It prints a line for each result. Exit status: 0 all was run and nothing is broken, 1 something
    is broken or was not run, 2 bad input.
    """
    from prunebench.reproduce.submission.check import check as run_checks
    from prunebench.reproduce.submission.submission_findings import BROKEN, NOT_RUN, shown
    from prunebench.reproduce.submission.submission_folder import load

    found = list(run_checks(load(folder), data, sample, seed_of(seed), trust_code))
    if as_json:
        give([asdict(finding) for finding in found])
    else:
        print("\n".join(shown(found)))
    if any(result.outcome in (BROKEN, NOT_RUN) for result in found):
        raise typer.Exit(1)
