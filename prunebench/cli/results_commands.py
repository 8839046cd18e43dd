"""Commands that look at an experiment's files, or remove them."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext, suppress
from typing import Annotated

import typer

from prunebench.cli.app import (
    LOOK,
    RUN,
    Data,
    Results,
    app,
    cells_of,
    example,
    files,
    guide,
    plan_of,
)
from prunebench.cli.documents import AsJson, give
from prunebench.errors import PrunebenchError
from prunebench.storage.layout import DATA, Layout
from prunebench.text.numbers import plural
from prunebench.text.progress_bars import bar


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
        give({**report.as_json(cells, layout), "faults": said.splitlines()})
        return
    print(report.text(cells, layout))
    if old := provenance.outdated(layout.provenance, layout.config, layout.cells_csv):
        print(f"warning: {old}\n")
    if said:
        print(said)


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
    if as_json:
        give(found.as_json())
    else:
        print(found)


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("check-files results/default"),
        files("every file of the experiment, and its data", "nothing new; see below"),
        "Every run checks files that were changed since they were written. This command reads"
        " them all: use it after a failure of the disk, or once they were copied. It names what is"
        " damaged and changes nothing. With --repair it also takes what is damaged out of the list"
        " of what is done, so that the command that made the experiment computes it again, and"
        " nothing else; a file of changed content is moved to damaged/. The export to MLflow, which"
        " lies beside the folder, is not looked at.",
    ),
)
def check_files(
    results: Results,
    data: Data = DATA,
    repair: Annotated[
        bool, typer.Option("--repair", help="have what is damaged computed again by the next run")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file of an experiment with its hash; --repair has damaged ones made again."""
    from prunebench.experiment import prepared_data
    from prunebench.runner import damaged_files
    from prunebench.storage import outputs
    from prunebench.storage.lock import locked

    plan = plan_of(results / "config.json")
    with locked(plan.layout.root) if repair else nullcontext(), bar("reading every file"):
        found = damaged_files.damaged(plan, data, thorough=True, mend=repair, beside=False)
    absent = [t.name for t in plan.experiment.tasks if not prepared_data.prepared(t, data).exists()]
    unnoted = outputs.without_manifest(plan.layout)
    if as_json:
        named = list(map(str, found))
        give({"damaged": named, "not_noted": unnoted, "without_data": absent})
    else:
        told = damaged_files.said(found, repaired=repair)
        print(told or "every file that was looked at is as it was written")
        for what, names in (("no hash is noted", unnoted), (f"no data in {data}", absent)):
            if names:
                print(f"not looked at, {what}: {', '.join(names)}")
    if found:
        again = "run the experiment's command again: it computes these"
        first = "nothing was changed; with --repair, the experiment's command computes these again"
        print(again if repair else first, file=sys.stderr)
    # without its cells a table cannot be derived, only be computed again
    stored = (results / "cells").is_dir()
    how = "--tables derives those" if stored else "computes some of them again"
    print(
        "Hashes vouch for files, not for numbers:"
        f" python -m prunebench verify {shlex.quote(str(results))} {how}",
        file=sys.stderr,
    )
    if found:
        raise typer.Exit(1)


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("remove results/default"),
        files("the folder", "nothing; see below"),
        "Removes the whole folder RESULTS: cells, tables, figures, reports. Runs that were exported"
        " to MLflow, data and the results of other experiments stay.",
    ),
)
def remove(
    results: Results,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask; for scripts")] = False,
) -> None:
    """Remove an experiment's results, once you have said so."""
    from prunebench.reproduce.submission.submission_folder import FORM
    from prunebench.storage import links
    from prunebench.storage.files import remove_tree
    from prunebench.storage.lock import locked

    ours = Layout(results).config.is_file() and links.is_experiment(results)
    if results.is_symlink() or not ours:
        raise PrunebenchError(f"{results} is no experiment's folder: nothing was removed")
    if (results / FORM).exists():
        raise PrunebenchError(f"{results} is a submission ({FORM}): nothing was removed")
    count = len(Layout(results).records())
    if not yes:
        if not _asks():
            raise PrunebenchError(f"{results}: nobody to ask; --yes removes it without asking")
        sure = False
        with suppress(typer.Abort):  # by the end of input, or Ctrl-C
            sure = typer.confirm(f"Remove {results} with its {plural(count, 'cell')} for good?")
        if not sure:
            print(f"{results}: nothing was removed", file=sys.stderr)
            raise typer.Exit(1)
    with locked(results):
        remove_tree(results)
    print(f"removed {results}: {plural(count, 'cell')}", file=sys.stderr)


def _asks() -> bool:
    """Return whether somebody sits at the terminal who can answer."""
    return sys.stdin.isatty()
