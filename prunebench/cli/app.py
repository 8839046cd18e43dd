"""The application, and the arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

# what a script may rely on
EXITS = {
    0: "done",
    1: "a check says no (verify, submit check, compare, check-files), or a bug, with its traceback",
    2: "something that you can mend: an argument, a file, a server; one line says what",
    130: "interrupted with Ctrl-C; the same command goes on",
}


def guide(*paragraphs: str) -> str:
    """What stands below a command's options, a paragraph each."""
    return "\n\n".join(paragraphs)


def example(command: str) -> str:
    """A command to try, as a paragraph of a guide."""
    return f"Example: python -m prunebench {command}"


def files(reads: str, writes: str) -> str:
    """Which files a command reads and writes, as a paragraph of a guide."""
    return f"Reads {reads}. Writes {writes}."


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A benchmark of neural-network pruning: does pruning reduce overfitting?",
    epilog=guide(
        "A first run, of minutes: python -m prunebench run config/default.yaml",
        "Then: python -m prunebench summary results/default",
        "Results go to standard output, everything else to standard error. Colours and bars are"
        " shown on a terminal alone; NO_COLOR=1 takes the colours away.",
        *(f"Exit status {status}: {meaning}." for status, meaning in EXITS.items()),
    ),
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
    from prunebench.experiment import config
    from prunebench.experiment.plan import Plan
    from prunebench.storage.layout import Layout

    plan = Plan(config.load(path))
    if path.name == "config.json":  # it lies in its experiment's folder, whatever that is called
        plan.layout = Layout(path.absolute().parent)
    return plan


def write(output: Path | None, value: dict[str, Any]) -> None:
    """Write what a command did where --output asks for it, with its hash."""
    from prunebench.storage.files import write_sealed

    if output is not None:
        write_sealed(output, value)


def cells_of(results: Path) -> tuple[Any, Any]:
    """The checked table of an experiment's cells, what was imported included, and its layout."""
    from prunebench.statistics.published_results import read_all
    from prunebench.storage.layout import Layout

    layout = Layout(results)
    return read_all(layout), layout
