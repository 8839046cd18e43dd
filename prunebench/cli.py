"""The command line: one subcommand per rule of the workflow, and a few for people. No logic.

Exit status: 0 done, 1 a bug (with a traceback), 2 something that the user can mend (one line says
what).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prunebench.errors import PrunebenchError

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
Job = Annotated[str, typer.Argument(help="the name of a job of the plan")]
DATA = Path("data")


def _plan(path: Path) -> Any:
    from prunebench import config
    from prunebench.plan import Plan

    resolved = path.name == "config.json"  # it lies in results/<experiment>/
    return Plan(config.load(path), path.resolve().parent.parent if resolved else "results")


def _write(output: Path | None, value: Any) -> None:
    from prunebench.files import write_json

    if output is not None:
        write_json(output, value)


def _manifest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = ("task", "regime", "model", "method", "seed", "sparsity", "identity", "status")
    return [{key: record[key] for key in kept} for record in records]


@app.command()
def run(config: Config, data: Data = DATA) -> None:
    """Run a whole grid in this process, without Snakemake, and write its reports."""
    from prunebench import pipeline

    plan = _plan(config)
    pipeline.run(plan, data)
    results = plan.layout.root
    for step in (tables, figures, leaderboard, summary):
        step(results)


@app.command()
def download(config: Config, task: str, data: Data = DATA, output: Output = None) -> None:
    """Fetch a task's official files, verified by their checksums."""
    from prunebench import pipeline

    pipeline.download(_plan(config), task, data)
    _write(output, {"task": task})


@app.command()
def prepare(config: Config, task: str, data: Data = DATA) -> None:
    """Turn a task's source into one verified file of tensors."""
    from prunebench import pipeline

    pipeline.prepare(_plan(config), task, data)


@app.command()
def check(config: Config, data: Data = DATA, output: Output = None) -> None:
    """Build every model of a grid before anything is trained."""
    from prunebench import pipeline

    found = pipeline.check(_plan(config), data)
    for item in found:
        print(
            f"{item['task']}: {item['model']}: {item['params_total']:,} weights in"
            f" {item['prunable_layers']} prunable layers and the rest,"
            f" {item['macs_dense']:,} MACs an image",
            file=sys.stderr,
        )
    _write(output, found)


@app.command()
def baselines(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Train the dense baselines of a job that are missing."""
    from prunebench import pipeline

    _write(output, _manifest(pipeline.baselines(_plan(config), job, data)))


@app.command()
def curves(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Compute the cells of a job's curves that are missing."""
    from prunebench import pipeline

    _write(output, _manifest(pipeline.curves(_plan(config), job, data)))


@app.command()
def measure(config: Config, kind: str, job: Job, output: Output = None) -> None:
    """Measure the stored predictions of a job (KIND: baselines or curves)."""
    from prunebench import pipeline

    _write(output, pipeline.measure(_plan(config), kind, job))


@app.command()
def collect(config: Config, measured: Path) -> None:
    """Write cells.csv from the measured jobs that the file MEASURED lists, a path a line."""
    from prunebench import pipeline
    from prunebench.files import read_text

    paths = [Path(line) for line in read_text(measured).splitlines()]
    pipeline.collect(_plan(config), paths)


def _cells(results: Path) -> tuple[Any, Any]:
    from prunebench.layout import Layout
    from prunebench.statistics import read_cells

    layout = Layout(results)
    return read_cells(layout.cells_csv), layout


@app.command()
def tables(results: Results) -> None:
    """Write tables/ from cells.csv: CSV, Markdown and LaTeX."""
    from prunebench.report import tables as report

    cells, layout = _cells(results)
    report.write(cells, layout.tables)


@app.command()
def figures(results: Results) -> None:
    """Draw figures/ from cells.csv: PNG and PDF."""
    from prunebench.report import figures as report

    cells, layout = _cells(results)
    report.write(cells, layout.figures)


@app.command()
def leaderboard(results: Results) -> None:
    """Write leaderboard.html, .md and .csv from cells.csv."""
    from prunebench.report import leaderboard as report

    report.write(*_cells(results))


@app.command()
def summary(results: Results) -> None:
    """Print a short leaderboard and where everything lies."""
    from prunebench.report import summary as report

    print(report.text(*_cells(results)))


@app.command()
def track(
    results: Results,
    uri: Annotated[
        str | None, typer.Option(help="an MLflow server; default MLFLOW_TRACKING_URI, else SQLite")
    ] = None,
    output: Output = None,
) -> None:
    """Export an experiment to MLflow; again whenever wanted, nothing is doubled.

    With --output an unreachable server is reported there and does not fail the workflow.
    """
    from prunebench import track as tracking
    from prunebench.layout import Layout

    try:
        done = tracking.export(Layout(results), uri)
    except PrunebenchError as error:
        if output is None:
            raise
        print(f"warning: not exported: {error}", file=sys.stderr)
        _write(output, {"exported": False, "message": str(error)})
        return
    print(done, file=sys.stderr)
    _write(output, {"exported": True, "message": str(done)})


@app.command()
def status(
    results: Results, as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False
) -> None:
    """Say how far an experiment is."""
    from prunebench.progress import counts

    found = counts(_plan(results / "config.json"))
    text = "{done} of {total} cells done, {missing} missing".format(**found)
    print(json.dumps(found) if as_json else text)


@app.command()
def methods(
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
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


def main() -> None:
    """Run the command line; a PrunebenchError is one line and exit status 2."""
    try:
        app()
    except PrunebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
