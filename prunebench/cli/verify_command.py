"""``verify``: compute some cells of a finished experiment again."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import COMPARE, AsJson, Data, app, example, files, guide
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
        files("cells.csv, config.json, data/", "nothing: cells are computed in a temporary folder"),
    ),
)
def verify(
    results: Annotated[
        Path, typer.Argument(help="an experiment's folder, with config.json and cells.csv")
    ] = REFERENCE,
    sample: Sample = 3,
    seed: Seed = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Compute some cells of an experiment again and compare them with its records.

    Each is bit-identical, inside the interval over seeds, or different. Exit status: 0 all are
    bit-identical or inside, 1 one is different or not decidable, 2 bad input.
    """
    from prunebench.reproduce.verify.recompute import rerun
    from prunebench.reproduce.verify.stored_experiment import draw, load
    from prunebench.reproduce.verify.verdict_text import as_json as said
    from prunebench.reproduce.verify.verdict_text import as_text

    stored, seed = load(results), seed_of(seed)
    outcome = rerun(stored, draw(stored.rows, sample, seed), data)
    found = {"seed": seed, **said(outcome)}
    print(json.dumps(found, indent=1) if as_json else f"--seed {seed}\n{as_text(outcome)}")
    if not outcome.confirmed:
        raise typer.Exit(1)
