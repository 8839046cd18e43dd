"""``verify``: compute some cells of a finished experiment again."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import (
    COMPARE,
    Data,
    TrustCode,
    app,
    example,
    files,
    guide,
)
from prunebench.cli.documents import AsJson, give
from prunebench.storage.layout import DATA

REFERENCE = Path("results/reference/default")
Sample = Annotated[int, typer.Option(help="number of cells to compute again, drawn at random")]
Seed = Annotated[int | None, typer.Option(help="seed of the draw; default: another one each time")]


def seed_of(seed: int | None) -> int:
    """Return the seed that was given, else a random one."""
    return secrets.randbelow(1_000_000) if seed is None else seed


@app.command(
    rich_help_panel=COMPARE,
    epilog=guide(
        example("verify results/reference/default --sample 1"),
        example("verify results/default --method magnitude --all"),
        example("verify results/default --tables"),
        files("cells.csv, config.json, data/", "nothing: cells are computed in a temporary folder"),
        "Cells that need Python that does not ship are not re-run, and so not confirmed, unless"
        " --trust-code is given: read the files first, which are named with their hashes.",
    ),
)
def verify(
    results: Annotated[
        Path, typer.Argument(help="an experiment's folder, with config.json and cells.csv")
    ] = REFERENCE,
    sample: Sample = 3,
    seed: Seed = None,
    task: Annotated[str | None, typer.Option(help="only cells of this task")] = None,
    method: Annotated[str | None, typer.Option(help="only cells of this method")] = None,
    cell: Annotated[
        str | None, typer.Option(help="this cell: its folder below cells/, digits/clean/…/0.5")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="all of these cells, not a sample")] = False,
    tables: Annotated[
        bool,
        typer.Option(
            "--tables",
            help="derive cells.csv and tables/ from the stored predictions; nothing is trained",
        ),
    ] = False,
    data: Data = DATA,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
) -> None:
    """Compute some cells of an experiment again and compare them with its records.

    Each is bit-identical, inside the interval over seeds, or different. Exit status: 0 all are
    bit-identical or inside, 1 one is different, not decidable or not re-run, 2 bad input.
    A sample says nothing of other rows: --tables derives every number of the tables again.
    """
    if tables:
        _verify_tables(results, as_json, trust_code)
        return
    from prunebench.reproduce.verify.recompute import rerun
    from prunebench.reproduce.verify.stored_experiment import chosen, draw, load
    from prunebench.reproduce.verify.verdict_text import as_json as said
    from prunebench.reproduce.verify.verdict_text import as_text

    seed = seed_of(seed)
    stored = load(results)
    some = chosen(stored, task, method, cell)
    count = len(some) if every or cell else sample
    outcome = rerun(stored, draw(some, count, seed), data, trust_code)
    found = {"seed": seed, **said(outcome)}
    if as_json:
        give(found)
    else:
        print(f"--seed {seed}\n{as_text(outcome)}")
    if not outcome.confirmed:
        raise typer.Exit(1)


def _verify_tables(results: Path, as_json: bool, trust_code: bool) -> None:
    """Print what differs between an experiment's tables and those derived again."""
    from prunebench.reproduce.verify.derived_tables import derive

    found = derive(results, trust_code)
    if as_json:
        give(found.as_json())
    else:
        print(found)
    if not found.confirmed:
        raise typer.Exit(1)
