"""The application, and what several commands share: arguments, help texts, loading."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from typer.core import TyperGroup

from prunebench.cli import documents
from prunebench.errors import PrunebenchError, is_text, printable

# what a script may rely on
EXITS = {
    0: "done",
    1: "a check says no (verify, submit check, compare, anchors, check-files, check-method), every"
    " cell of a method failed (run, race), or a bug, with its traceback",
    2: "something that you can put right: an argument, a file, a server; one line says what",
    130: "interrupted with Ctrl-C; the same command goes on",
}

P = ParamSpec("P")  # the arguments of a command

# groups of commands in the order in which help and documentation show them
RUN, LOOK, COMPARE, PUBLISH, EXTEND, JOBS = (
    "Run", "Look at results", "Compare and verify", "Publish", "Extend",
    "Jobs of the workflow, which Snakemake calls",
)  # fmt: skip
GROUPS = (RUN, LOOK, COMPARE, PUBLISH, EXTEND, JOBS)


class GroupedCommands(TyperGroup):
    """The commands, group by group."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands in the order of their groups."""
        names = super().list_commands(ctx)
        places = {name: GROUPS.index(group_of(self.commands[name])) for name in names}
        return sorted(names, key=lambda name: (places[name], name != "run"))

    def main(self, args: Any = None, *more: Any, **extra: Any) -> Any:
        """Run a command line, with one document where ``--json`` asks for it."""
        given = sys.argv[1:] if args is None else list(args)
        with documents.one_document(self, given):
            _refuse_no_text(given)
            return super().main(args, *more, **extra)

    def make_context(self, *given: Any, **extra: Any) -> Any:
        """Read the options before the command."""
        with documents.noting():
            return super().make_context(*given, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; one that was ended from within was not done, whatever the status says.

        Raises:
            PrunebenchError: code that it called ended the process.
        """
        with documents.noting():
            try:
                return super().invoke(ctx)
            except SystemExit as error:  # typer's own Exit is none
                if isinstance(error.__context__, BrokenPipeError):  # rich's end of a closed pipe
                    raise
                raise PrunebenchError(
                    "code of your own that the command runs ended the process (sys.exit): the"
                    " command is not done"
                ) from error


def group_of(command: Any) -> str:
    """Return the group of a command; of one that is in none the last."""
    panel = getattr(command, "rich_help_panel", None)
    return panel if panel in GROUPS else GROUPS[-1]


def guide(*paragraphs: str) -> str:
    """Return the text below a command's options, from its paragraphs."""
    return "\n\n".join(paragraphs)


def example(command: str) -> str:
    """Return a paragraph of a guide with a command to try."""
    return f"Example: python -m prunebench {command}"


def files(reads: str, writes: str) -> str:
    """Return a paragraph of a guide with the files that a command reads and writes."""
    return f"Reads {reads}. Writes {writes}."


app = typer.Typer(
    cls=GroupedCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A benchmark of neural-network pruning: does pruning reduce overfitting?",
    epilog=guide(
        "A first run takes minutes: python -m prunebench run config/default.yaml",
        "Then: python -m prunebench summary results/default",
        "Results go to standard output, everything else to standard error. Colours and bars are"
        " shown on a terminal alone; NO_COLOR=1 takes the colours away.",
        *(f"Exit status {status}: {meaning}." for status, meaning in EXITS.items()),
    ),
)


def _version(asked: bool) -> None:
    if asked:
        from prunebench import __version__

        print(f"prunebench {__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say the version")
    ] = False,
) -> None:
    """Declare the options of the program itself."""


Config = Annotated[
    Path,
    typer.Argument(help="a configuration: config/x.yaml, or results/x/config.json of a run"),
]
Results = Annotated[Path, typer.Argument(help="an experiment's folder: results/x")]
Output = Annotated[Path | None, typer.Option(help="JSON file to write with what was done")]
Data = Annotated[Path, typer.Option(help="folder of downloaded and prepared data")]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="run Python that the results name and that does not ship"),
]


def plan_of(path: Path) -> Any:
    """Return the plan of a configuration file.

    Args:
        path: a configuration, or the resolved one of an experiment, ``config.json``, whose folder
            then holds the results.

    Raises:
        PrunebenchError: the configuration is missing or wrong.
    """
    from prunebench.experiment import plan

    return plan.plan_of(path)


def write(output: Path | None, value: dict[str, Any]) -> None:
    """Write what a command did to a JSON file with its hash, if ``--output`` names one."""
    from prunebench.storage.files import write_sealed

    if output is not None:
        write_sealed(output, value)


def counted(plan: Any, name: str) -> None:
    """Say that a job of a workflow is done, by the one counter that all its jobs share.

    Args:
        plan: the experiment.
        name: the job, as ``progress.whole`` calls it.
    """
    from prunebench.runner.progress import Progress

    if in_workflow():
        Progress(plan).follows(name)


def in_workflow() -> bool:
    """Return whether a workflow has started this process."""
    from prunebench.runner.watched import SUPERVISOR

    return bool(os.environ.get(SUPERVISOR))


def cells_of(results: Path) -> tuple[Any, Any]:
    """Read the table of an experiment's cells, imported results included.

    Args:
        results: the experiment's folder.

    Returns:
        The checked table and the experiment's layout.

    Raises:
        PrunebenchError: the table is missing or damaged.
    """
    from prunebench.statistics.published_results import read_all
    from prunebench.storage.layout import Layout

    layout = Layout(results)
    return read_all(layout), layout


def of_cells(command: Callable[P, None]) -> Callable[P, None]:
    """Run a command with texts as Python has them in the tables of pandas, not as pyarrow has them.

    Of a few thousand cells, pyarrow's take a sixth of the time of a table or a report.
    """

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        import pandas as pd

        with pd.option_context("mode.string_storage", "python"):
            command(*arguments, **options)

    return run


def main() -> None:
    """Run the command line.

    A PrunebenchError is printed as one line, with exit status 2, and so is an error of the system:
    a file of another user's, a full disk. This is its one door out.
    """
    try:
        app()
    except OSError as error:
        where = printable(str(error.filename or "a file or the network"))
        print(f"error: {where}: {error.strerror or printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except PrunebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _refuse_no_text(arguments: Sequence[str]) -> None:
    """Refuse names that are no UTF-8: of the working directory, this environment, or arguments.

    Libraries that read tensors, and torch itself, take no others.

    Raises:
        PrunebenchError: there is one.
    """
    for name in (str(Path.cwd()), sys.prefix, *arguments):
        if not is_text(name):
            raise PrunebenchError(f"{name}: the name of a file or folder is no UTF-8: rename it")
