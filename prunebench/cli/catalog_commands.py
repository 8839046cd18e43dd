"""Commands that list what ships, and ``check-method``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from prunebench.cli.app import EXTEND, app, example, files, guide
from prunebench.cli.documents import AsJson, give
from prunebench.errors import PrunebenchError

# rows for programs, a table for people, and what renews that table in a text
Catalog = tuple[Callable[[], Any], Callable[[], str], Callable[[str], str]]
Into = Annotated[Path | None, typer.Option(help="a Markdown file whose table is renewed")]


def _show(catalog: Catalog, as_json: bool, into: Path | None) -> None:
    """Print a catalog as a table or as JSON, or renew the table in a file."""
    from prunebench.storage.files import write_text

    rows, table, fill = catalog
    if into is not None:
        write_text(into, fill(into.read_text(encoding="utf-8")))
        if as_json:
            give({"written": str(into)})
        return
    if as_json:
        give(rows())
    else:
        print(table())


@app.command(
    rich_help_panel=EXTEND,
    epilog=guide(example("methods --json"), files("what ships", "nothing but --into")),
)
def methods(as_json: AsJson = False, into: Into = None) -> None:
    """List the methods that ship."""
    from prunebench.experiment.catalog import fill, markdown_table, method_rows

    _show((method_rows, markdown_table, fill), as_json, into)


@app.command(
    rich_help_panel=EXTEND,
    epilog=guide(example("measures"), files("what ships", "nothing but --into")),
)
def measures(as_json: AsJson = False, into: Into = None) -> None:
    """List what is measured: columns, directions, units, formulas and sources."""
    from prunebench.evaluation.measures_table import fill, measure_rows, measures_table

    _show((measure_rows, measures_table, fill), as_json, into)


@app.command(
    rich_help_panel=EXTEND,
    epilog=guide(example("kinds"), files("what ships", "nothing but --into")),
)
def kinds(as_json: AsJson = False, into: Into = None) -> None:
    """List the kinds of tasks: inputs, targets, the error that ranks, its formula and unit."""
    from prunebench.experiment.catalog import fill_kinds, kind_rows, kinds_table

    _show((kind_rows, kinds_table, fill_kinds), as_json, into)


@app.command(
    rich_help_panel=EXTEND,
    epilog=guide(
        example("check-method magnitude"),
        example("check-method my_file.py:score"),
        files("your Python file", "nothing"),
        "Exit status 0: the method keeps the contract, 1: every network refused it, so nothing was"
        " shown, 2: it breaks the contract, or its code raised an error.",
    ),
)
def check_method(
    name: Annotated[
        str,
        typer.Argument(help="a preset, a criterion (my_file.py:score), or a method of --config"),
    ],
    config: Annotated[Path | None, typer.Option(help="a configuration that has the method")] = None,
    as_json: AsJson = False,
) -> None:
    """Check that a method keeps the contract of all methods, on a CNN, a transformer and an MLP."""
    from prunebench.experiment import config as settings
    from prunebench.pruning import contract
    from prunebench.runner.checked_method import check_contract
    from prunebench.runner.own_process import Unfinished

    try:
        findings = check_contract(_method(settings, name, config))
    except Unfinished as error:
        raise PrunebenchError(f"{name}: {error}") from error
    if as_json:
        give([asdict(found) for found in findings])
    for found in () if as_json else findings:
        print(f"{found.outcome:8} {found.network:12} {found.check}  {found.detail}".rstrip())
    if not as_json:
        entry = f"{{name: mine, criterion: {name}}}" if ":" in name else name
        print(contract.summary(findings, entry))
    if any(found.outcome == contract.BROKEN for found in findings):
        raise PrunebenchError(f"{name} breaks the contract")
    if contract.nothing_passed(findings):
        raise typer.Exit(1)


def _method(settings: Any, name: str, config: Path | None) -> Any:
    """The method that a name stands for, in a configuration or among what ships."""
    if config is not None:
        known = {method.name: method for method in settings.load(config).methods}
        return known[name] if name in known else settings.method(name)
    if ":" in name:
        return settings.method({"name": "your-criterion", "criterion": name})
    return settings.method(name)


@app.command(rich_help_panel=EXTEND, epilog=guide(example("schema"), files("nothing", "nothing")))
def schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    from prunebench.experiment.catalog import json_schema

    print(json.dumps(json_schema(), indent=1))
