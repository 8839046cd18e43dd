"""Commands that write what people read from the records: tables, figures, pages, paper."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prunebench.cli.app import (
    LOOK,
    PUBLISH,
    Results,
    TrustCode,
    app,
    cells_of,
    example,
    files,
    guide,
    step_counted,
)
from prunebench.storage.layout import Layout
from prunebench.storage.outputs import recorded
from prunebench.text.progress_bars import bar

# of STEPS, in the order in which one reads another
PAGES = ("tables", "figures", "leaderboard", "report", "kit")


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

    pages = page_writers(trust_code)
    with locked(results):
        for place, (step, write_it) in enumerate(pages.items(), start=1):
            print(f"[{place}/{len(pages)}] writing {step_name(step)}", file=sys.stderr, flush=True)
            write_it(results)


def page_writers(trust_code: bool) -> dict[str, Callable[[Path], None]]:
    """Return the command that writes each of PAGES, by its step, in their order."""
    written = (tables, partial(figures, trust_code=trust_code), leaderboard, report, paper)
    return dict(zip(PAGES, written, strict=True))


def _write(results: Path, step: str, write: Callable[[Any, Layout], list[Path]]) -> None:
    """Write a step's files from the cells, with a bar and a list of their hashes."""
    from prunebench.runner.progress.whole import step_name

    cells, layout = cells_of(results)
    with bar(step_name(step)), recorded(layout, step) as outputs:
        outputs += write(cells, layout)
    step_counted(layout, step)


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("tables results/default"), files("cells.csv, latency.csv, config.json", "tables/")
    ),
)
def tables(results: Results) -> None:
    """Write tables/ from cells.csv and latency.csv: CSV, Markdown and LaTeX."""
    from prunebench.report.tables import all_tables

    _write(results, "tables", all_tables.write)


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("figures results/default"),
        files("cells.csv, layers.csv, sensitivity.csv, config.json", "figures/"),
        "Figures of one's own, which config.json names, are drawn with --trust-code alone: they are"
        " Python of whoever made the results.",
    ),
)
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
    step_counted(layout, "figures")


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("leaderboard results/default"),
        files("cells.csv, config.json, figures/", "leaderboard.html, .md, .csv"),
    ),
)
def leaderboard(results: Results) -> None:
    """Write leaderboard.html, .md and .csv from cells.csv."""
    from prunebench.report import leaderboard as report

    _write(results, "leaderboard", report.write)


@app.command(
    rich_help_panel=LOOK,
    epilog=guide(
        example("report results/default"),
        files("cells.csv, config.json, figures/", "report.html, .md"),
    ),
)
def report(results: Results) -> None:
    """Write report.html and .md from cells.csv, config.json and figures/."""
    from prunebench.report import document

    _write(results, "report", document.write)


@app.command(
    rich_help_panel=PUBLISH,
    epilog=guide(example("paper results/default"), files("cells.csv, config.json", "paper/")),
)
def paper(results: Results) -> None:
    """Write paper/ from cells.csv and config.json: numbers, methods, BibTeX, figures, example."""
    from prunebench.report import paper as report

    _write(results, "kit", report.write)


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
    step_counted(layout, "crate")


@app.command(
    hidden=True,
    epilog=guide(example("crate results/default"), files("as ro-crate", "ro-crate-metadata.json")),
)
def crate(results: Results) -> None:
    """Do what ``ro-crate`` does: its former name."""
    print("note: crate is now called ro-crate; the old name will go", file=sys.stderr)
    ro_crate(results)
