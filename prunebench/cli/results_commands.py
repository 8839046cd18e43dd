"""Commands that work on an experiment's results, and ``run``, which computes them all."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import (
    JOBS,
    LOOK,
    PUBLISH,
    RUN,
    Config,
    Data,
    Output,
    Results,
    TrustCode,
    app,
    cells_of,
    counted,
    example,
    files,
    guide,
    in_workflow,
    of_cells,
    plan_of,
    write,
)
from prunebench.cli.documents import AsJson, give
from prunebench.errors import PrunebenchError, Unwritable
from prunebench.storage.layout import DATA, Layout
from prunebench.storage.outputs import manifest_of, recorded
from prunebench.text.numbers import plural
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
                pipeline.compute(plan, data, READ)
        except PrunebenchError:
            if said := failures.text(plan):
                print(said, file=sys.stderr)
            raise
        # the configuration is one's own
        for step, write_it in _pages(trust_code=True).items():
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


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("remake results/default"),
        files(
            "cells.csv, published/, config.json",
            "tables/, figures/, leaderboard.*, report.*, paper/",
        ),
        "Each of these is also a command of its own; what reads another comes after it. Nothing is"
        " trained. Figures of one's own need --trust-code.",
    ),
)
def remake(results: Results, trust_code: TrustCode = False) -> None:
    """Write all that people read again, from the records: tables, figures, pages, paper."""
    from prunebench.storage.provenance import doubt_of

    _, layout = cells_of(results)  # of a folder that is none nothing is written
    told = doubt_of(layout.provenance, layout.config, layout.cells_csv)
    if told and layout.provenance.exists():
        print(
            f"warning: {told}; all pages repeat the table as it is. python -m prunebench verify"
            f" {results} --tables names what does not follow from the stored predictions",
            file=sys.stderr,
        )
    from prunebench.runner.progress.whole import step_name
    from prunebench.storage.lock import locked

    pages = _pages(trust_code)
    with locked(results):
        for place, (step, write_it) in enumerate(pages.items(), start=1):
            print(f"[{place}/{len(pages)}] writing {step_name(step)}", file=sys.stderr, flush=True)
            write_it(results)


def _counted(layout: Layout, step: str) -> None:
    from prunebench.runner.progress.whole import step_name

    if in_workflow() and layout.config.is_file():
        counted(plan_of(layout.config), step_name(step))


READ = ("collect", "tables", "figures", "leaderboard", "report", "kit")  # of STEPS: ``run`` makes


def _pages(trust_code: bool) -> dict[str, Callable[[Path], None]]:
    """Return what writes each of READ but the table of cells, in their order."""
    written = (tables, partial(figures, trust_code=trust_code), leaderboard, report, paper)
    return dict(zip(READ[1:], written, strict=True))


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("tables results/default"), files("cells.csv, latency.csv, config.json", "tables/")
    ),
)
@of_cells
def tables(results: Results) -> None:
    """Write tables/ from cells.csv and latency.csv: CSV, Markdown and LaTeX."""
    from prunebench.report.tables import all_tables

    cells, layout = cells_of(results)
    with bar("tables"), recorded(layout, "tables") as outputs:
        outputs += all_tables.write(cells, layout)
    _counted(layout, "tables")


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("figures results/default"),
        files("cells.csv, layers.csv, sensitivity.csv, config.json", "figures/"),
        "Figures of one's own, which config.json names, are drawn with --trust-code alone: they are"
        " Python of whoever made the results.",
    ),
)
@of_cells
def figures(results: Results, trust_code: TrustCode = False) -> None:
    """Draw figures/ from cells.csv and the tables beside it: PNG and PDF."""
    from prunebench.report import declared_analysis
    from prunebench.report import figures as report

    cells, layout = cells_of(results)
    own = declared_analysis.own_figures(layout)
    if own and not trust_code:
        print(f"not drawn without --trust-code: {', '.join(own)}", file=sys.stderr)
        own = []
    beside = declared_analysis.for_figures(layout)
    with recorded(layout, "figures") as outputs:
        outputs += report.write(cells, layout.figures, own=own, **beside)
    _counted(layout, "figures")


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("leaderboard results/default"),
        files("cells.csv, config.json, figures/", "leaderboard.html, .md, .csv"),
    ),
)
@of_cells
def leaderboard(results: Results) -> None:
    """Write leaderboard.html, .md and .csv from cells.csv."""
    from prunebench.report import leaderboard as report

    cells, layout = cells_of(results)
    with bar("leaderboard"), recorded(layout, "leaderboard") as outputs:
        outputs += report.write(cells, layout)
    _counted(layout, "leaderboard")


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("report results/default"),
        files("cells.csv, config.json, figures/", "report.html, .md"),
    ),
)
@of_cells
def report(results: Results) -> None:
    """Write report.html and .md from cells.csv, config.json and figures/."""
    from prunebench.report import document

    cells, layout = cells_of(results)
    with bar("report"), recorded(layout, "report") as outputs:
        outputs += document.write(cells, layout)
    _counted(layout, "report")


@app.command(
    rich_help_panel=PUBLISH,
    epilog=guide(example("paper results/default"), files("cells.csv, config.json", "paper/")),
)
@of_cells
def paper(results: Results) -> None:
    """Write paper/ from cells.csv and config.json: numbers, methods, BibTeX, figures, example."""
    from prunebench.report import paper as report

    cells, layout = cells_of(results)
    with bar("paper"), recorded(layout, "kit") as outputs:
        outputs += report.write(cells, layout)
    _counted(layout, "kit")


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

    layout = Layout(results)
    with recorded(layout, "crate") as outputs:
        outputs.append(run_crate.write(layout))
    _counted(layout, "crate")


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
        give({**report.as_json(cells, layout), "faults": said.splitlines()})
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
    _counted(layout, "track")


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
