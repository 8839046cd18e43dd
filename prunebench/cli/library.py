"""What ships, and whether a method keeps its contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import AsJson, app
from prunebench.errors import PrunebenchError


@app.command()
def methods(
    as_json: AsJson = False,
    into: Annotated[Path | None, typer.Option(help="a Markdown file whose table to renew")] = None,
) -> None:
    """List the methods that ship."""
    from prunebench.catalog import fill, markdown_table, method_rows
    from prunebench.files import write_text

    if into is not None:
        write_text(into, fill(into.read_text(encoding="utf-8")))
        return
    print(json.dumps(method_rows(), indent=1) if as_json else markdown_table())


@app.command()
def check_method(
    name: Annotated[
        str,
        typer.Argument(help="a preset, a criterion (my_file.py:score), or one of --config's"),
    ],
    config: Annotated[
        Path | None, typer.Option(help="a configuration whose methods to know")
    ] = None,
) -> None:
    """Hold a method to the contract that every method keeps, on a CNN, a transformer and an MLP."""
    from prunebench import config as settings
    from prunebench.pruning import contract

    if config is not None:
        known = {method.name: method for method in settings.load(config).methods}
        method = known[name] if name in known else settings.method(name)
    elif ":" in name:
        method = settings.method({"name": "mine", "criterion": name})
    else:
        method = settings.method(name)
    findings = contract.check(method, contract.standard_networks())
    for found in findings:
        print(f"{found.outcome:8} {found.network:12} {found.check}  {found.detail}".rstrip())
    if any(found.outcome == contract.BROKEN for found in findings):
        raise PrunebenchError(f"{name} breaks the contract")


@app.command()
def schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    from prunebench.catalog import json_schema

    print(json.dumps(json_schema(), indent=1))


@app.command()
def measures(
    as_json: AsJson = False,
    into: Annotated[Path | None, typer.Option(help="a Markdown file whose table to renew")] = None,
) -> None:
    """List what is measured: columns, directions, units, formulas and sources."""
    from prunebench.files import write_text
    from prunebench.measure.catalog import fill, measure_rows, measures_table

    if into is not None:
        write_text(into, fill(into.read_text(encoding="utf-8")))
        return
    print(json.dumps(measure_rows(), indent=1) if as_json else measures_table())
