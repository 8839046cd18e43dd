"""The application, and the arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A benchmark of neural-network pruning: does pruning reduce overfitting?",
)

Config = Annotated[
    Path,
    typer.Argument(help="a configuration: config/x.yaml, or a run's results/x/config.json"),
]
Results = Annotated[Path, typer.Argument(help="an experiment's folder: results/x")]
Output = Annotated[Path | None, typer.Option(help="where to write what was done, as JSON")]
Data = Annotated[Path, typer.Option(help="where downloaded and prepared data lie")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
DATA = Path("data")


def plan_of(path: Path) -> Any:
    """The plan of a configuration, resolved or not."""
    from prunebench import config
    from prunebench.plan import Plan

    resolved = path.name == "config.json"  # it lies in results/<experiment>/
    return Plan(config.load(path), path.resolve().parent.parent if resolved else "results")


def write(output: Path | None, value: Any) -> None:
    """Write what a command did where --output asks for it."""
    from prunebench.files import write_json

    if output is not None:
        write_json(output, value)


def cells_of(results: Path) -> tuple[Any, Any]:
    """The checked table of an experiment's cells, and its layout."""
    from prunebench.layout import Layout
    from prunebench.statistics import read_cells

    layout = Layout(results)
    return read_cells(layout.cells_csv), layout
