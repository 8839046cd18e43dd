"""Commands that rules of the workflow call: they compute the cells of an experiment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prunebench.cli.app import (
    JOBS,
    RUN,
    Config,
    Data,
    Output,
    app,
    counted,
    example,
    files,
    guide,
    main,
    plan_of,
    write,
)
from prunebench.runner.progress.whole import job_name, step_name
from prunebench.storage.layout import DATA
from prunebench.text.numbers import percent
from prunebench.text.progress_bars import bar

Job = Annotated[str, typer.Argument(help="name of a job of the plan, e.g. digits-0")]


def _manifest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = ("task", "regime", "model", "method", "seed", "sparsity", "identity", "status")
    return [{key: record[key] for key in kept} for record in records]


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("download config/cifar10.yaml cifar10"), files("the configuration", "data/raw/")
    ),
)
def download(config: Config, task: str, data: Data = DATA, output: Output = None) -> None:
    """Download a task's official files and verify their checksums."""
    from prunebench.runner import pipeline

    pipeline.download(plan_of(config), task, data)
    write(output, {"task": task})


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("prepare config/default.yaml digits"), files("data/raw/", "data/prepared/")
    ),
)
def prepare(config: Config, task: str, data: Data = DATA, output: Output = None) -> None:
    """Prepare a task's data: write them to one verified file of tensors, unless it is there."""
    from prunebench.runner import pipeline

    pipeline.prepare(plan_of(config), task, data)
    write(output, {"task": task})


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("check config/default.yaml"),
        files("the configuration and the data", "--output, and data/prepared/ where it is missing"),
    ),
)
def check(config: Config, data: Data = DATA, output: Output = None) -> None:
    """Build every model of a grid and count its weights, before anything is trained.

    Data that are not prepared yet are prepared first, and fetched where they are downloaded.
    It names the layers that are not pruned, the classifier and what prunable.exclude names.
    It also prints the smallest p that the plan can reach, and how many seeds its methods need.
    """
    from prunebench.experiment import before_work, inheritance
    from prunebench.experiment.reachable_p import Reach
    from prunebench.runner import pipeline

    plan = plan_of(config)
    for line in inheritance.read(config).said():
        print(line, file=sys.stderr)
    before_work.check(plan.experiment)
    pipeline.prepare_missing(plan, data)
    found = pipeline.check(plan, data)
    left = {
        "classifier": f"classifier{'' if plan.experiment.prunable.head else ', not pruned'}",
        "excluded": "excluded, not pruned",
        "unfitting": "patterns that name nothing here",
    }
    print(Reach.of(plan.experiment).said(), file=sys.stderr)
    for item in found:
        share = percent(round(item["prunable_share"], 3))
        print(
            f"{item['task']}: {item['model']}: {item['params_total']:,} weights,"
            f" {share} of them prunable in {item['prunable_layers']} layers,"
            f" {item['macs_dense']:,} MACs per {item['input']}",
            file=sys.stderr,
        )
        for what, said in left.items():
            if item[what]:
                print(f"  {said}: {', '.join(item[what])}", file=sys.stderr)
        if item["not_prunable"]:
            names = [f"{name} ({count:,})" for name, count in item["not_prunable"].items()]
            print(f"  not prunable: {', '.join(names)}", file=sys.stderr)
    write(output, {"models": found})


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("baselines results/default/config.json digits-0"),
        files(
            "config.json and data/prepared/",
            "cells/…/dense/0/: record, weights, predictions, history",
        ),
    ),
)
def baselines(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Train the dense baselines of a job that are missing."""
    from prunebench.runner import pipeline
    from prunebench.runner.progress import grid_bar

    plan = plan_of(config)
    with grid_bar(plan):
        records = pipeline.baselines(plan, job, data)
    write(output, {"cells": _manifest(records)})


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("curves results/default/config.json magnitude@digits-0"),
        files("config.json, data/prepared/ and the baselines", "cells/…/<method>/<sparsity>/"),
    ),
)
def curves(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Compute the cells of a job's curves that are missing."""
    from prunebench.runner import pipeline
    from prunebench.runner.progress import grid_bar

    plan = plan_of(config)
    with grid_bar(plan):
        records = pipeline.curves(plan, job, data)
    write(output, {"cells": _manifest(records)})


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("probes results/default/config.json digits-0"),
        files("the cells of the job", "probes.json beside each"),
    ),
)
def probes(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Measure the stored networks of a job with the probes of the configuration."""
    from prunebench.runner import pipeline

    plan = plan_of(config)
    write(output, {"cells": pipeline.probes(plan, job, data)})
    counted(plan, job_name("probes", job))


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("latencies results/default/config.json digits"),
        files("the cells of the task", "latency.json beside each"),
    ),
)
def latencies(config: Config, job: Job, data: Data = DATA, output: Output = None) -> None:
    """Measure the inference times of a task's networks. Run nothing else meanwhile."""
    from prunebench.runner import pipeline

    plan = plan_of(config)
    write(output, {"cells": pipeline.latencies(plan, job, data)})
    counted(plan, job_name("latencies", job))


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("channels results/default/config.json digits"),
        files("config.json and data/prepared/", "jobs/channels/<task>.json"),
    ),
)
def channels(config: Config, task: str, data: Data = DATA) -> None:
    """Measure which multiple of channels a task's networks are fastest with. Run nothing else."""
    from prunebench.runner import pipeline

    pipeline.channels(plan_of(config), task, data)


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("measure results/default/config.json digits-0 --output rows.json"),
        files("the stored predictions of the job's cells", "its rows, as JSON, to --output"),
    ),
)
def measure(config: Config, job: Job, output: Output = None) -> None:
    """Measure the stored predictions of all cells on a job's baselines, and gather their rows."""
    from prunebench.runner import pipeline

    plan = plan_of(config)
    pipeline.measure(plan, job, output)
    counted(plan, job_name("measures", job))


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("collect results/default/config.json results/default/jobs/measured.txt"),
        files(
            "the files that MEASURED lists",
            "cells.csv, latency.csv, layers.csv, sensitivity.csv, provenance.json, workflow/",
        ),
    ),
)
def collect(config: Config, measured: Path) -> None:
    """Write cells.csv from measured jobs; the file MEASURED lists them, one path per line."""
    from prunebench.runner.collect import collect as collected
    from prunebench.storage.files import read_text

    paths = [Path(line) for line in read_text(measured).splitlines()]
    plan = plan_of(config)
    with bar("tables of all cells"):
        collected(plan, paths)
    counted(plan, step_name("collect"))


@app.command(
    rich_help_panel=JOBS,
    epilog=guide(
        example("warm-process /run/user/1000/jobs/socket 4321"),
        files("nothing", "what its jobs write"),
    ),
)
def warm_process(
    path: Annotated[Path, typer.Argument(help="the socket to listen at")],
    workflow: Annotated[int, typer.Argument(help="process id of the workflow")],
) -> None:
    """Load libraries once, and fork for each job of a workflow that runs on this machine."""
    from prunebench.cli import warm_server

    warm_server.serve(path, workflow, main)
