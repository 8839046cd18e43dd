"""The rules of the workflow: one command each, and ``run`` for all of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prunebench.cli.app import DATA, Config, Data, Output, app, plan_of, write

Job = Annotated[str, typer.Argument(help="the name of a job of the plan")]


def _manifest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = ("task", "regime", "model", "method", "seed", "sparsity", "identity", "status")
    return [{key: record[key] for key in kept} for record in records]


@app.command()
def download(config: Config, task: str, data: Data = DATA, output: Output = None) -> None:
    """Fetch a task's official files, verified by their checksums."""
    from prunebench import pipeline

    pipeline.download(plan_of(config), task, data)
    write(output, {"task": task})


@app.command()
def prepare(config: Config, task: str, data: Data = DATA) -> None:
    """Turn a task's source into one verified file of tensors."""
    from prunebench import pipeline

    pipeline.prepare(plan_of(config), task, data)


@app.command()
def check(config: Config, data: Data = DATA, output: Output = None) -> None:
    """Build every model of a grid before anything is trained."""
    from prunebench import pipeline

    found = pipeline.check(plan_of(config), data)
    for item in found:
        print(
            f"{item['task']}: {item['model']}: {item['params_total']:,} weights in"
            f" {item['prunable_layers']} prunable layers and the rest,"
            f" {item['macs_dense']:,} MACs an image",
            file=sys.stderr,
        )
    write(output, found)


@app.command()
def baselines(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Train the dense baselines of a job that are missing."""
    from prunebench import pipeline

    write(output, _manifest(pipeline.baselines(plan_of(config), job, data)))


@app.command()
def curves(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Compute the cells of a job's curves that are missing."""
    from prunebench import pipeline

    write(output, _manifest(pipeline.curves(plan_of(config), job, data)))


@app.command()
def probes(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Look at a job's stored networks: corruptions, sharpness, distance, as configured."""
    from prunebench import pipeline

    write(output, {"cells": pipeline.probes(plan_of(config), job, data)})


@app.command()
def latencies(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Measure how long a task's networks take. To be run with nothing else on the machine."""
    from prunebench import pipeline

    write(output, {"cells": pipeline.latencies(plan_of(config), job, data)})


@app.command()
def measure(config: Config, kind: str, job: Job, output: Output = None) -> None:
    """Gather a job's rows and measure its stored predictions (KIND: baselines or curves)."""
    from prunebench import pipeline

    write(output, pipeline.measure(plan_of(config), kind, job))


@app.command()
def collect(config: Config, measured: Path) -> None:
    """Write cells.csv from the measured jobs that the file MEASURED lists, a path a line."""
    from prunebench import pipeline
    from prunebench.files import read_text

    paths = [Path(line) for line in read_text(measured).splitlines()]
    pipeline.collect(plan_of(config), paths)
