"""Which multiple of channels the networks of a task are fastest with, measured and stored."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from prunebench.compression import channel_counts
from prunebench.compression.channel_counts import channel_times
from prunebench.compression.timing import device_name
from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.jobs import Baseline
from prunebench.runner.job_context import JobContext
from prunebench.runner.stored_results import stored_identity
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.storage.hashing import digest
from prunebench.storage.layout import CHANNELS
from prunebench.training import models


def compute_channels(job: JobContext, task: str) -> Path:
    """Measure each network of a task at neighbouring numbers of channels, unless that was done.

    By the first engine and batch of the configuration, as the times of ``cells.csv`` are; of
    networks whose weights are drawn, as times depend on sizes alone.

    Args:
        job: data and device.
        task: its name.

    Returns:
        The file with the times and the multiple of each network.
    """
    experiment = job.plan.experiment
    path = job.plan.layout.job(CHANNELS, task)
    widths = sorted({regime.width for regime in experiment.regimes})
    networks = list(product(experiment.models, widths))
    code = [*job.plan.latency_sources(), Path(channel_counts.__file__)]
    identity = digest(
        [
            [[model.model_dump(), width] for model, width in networks], str(job.data.facts),
            list(job.data.inputs["test"].shape[1:]), _how(job), device_name(job.device),
            code_hash(code),
        ]
    )  # fmt: skip
    if stored_identity(path) != identity:
        found = [_measured(job, model, width) for model, width in networks]
        write_sealed(path, {"identity": identity, "networks": found})
    return path


def _how(job: JobContext) -> dict[str, Any]:
    settings = job.plan.experiment.latency
    return {
        "engine": settings.engines[0], "batch": settings.batches[0],
        "threads": job.plan.experiment.compute.threads, "repeats": settings.repeats,
        "warm_up": settings.warm_up,
    }  # fmt: skip


def _measured(job: JobContext, model: Any, width: float) -> dict[str, Any]:
    network = models.create(model, job.data.facts, 0, width).to(job.device).eval()
    row = {"model": model.name, "width": width, **_how(job), "device": device_name(job.device)}
    try:
        found = channel_times(
            network, job.data.normalized(job.data.inputs["test"][:1]), **_how(job)
        )
    except Refused as error:
        return row | {"multiple": 1, "times": [], "message": str(error)}
    times = [
        {"channels": count, "low_ms": speed.low_ms, "median_ms": speed.median_ms,
         "high_ms": speed.high_ms}
        for count, speed in found.speeds.items()
    ]  # fmt: skip
    return row | {"multiple": found.multiple, "times": times, "message": ""}


def round_to(job: JobContext, baseline: Baseline) -> int:
    """Return the multiple of channels that shrunk networks of a baseline keep.

    Raises:
        PrunebenchError: it is to be measured, and was not.
    """
    asked = job.plan.experiment.probes.round_to
    if isinstance(asked, int):
        return asked
    path = job.plan.layout.job(CHANNELS, baseline.task.name)
    for row in read_sealed(path).get("networks", []):
        if (row["model"], row["width"]) == (baseline.model.name, baseline.regime.width):
            return int(row["multiple"])
    raise PrunebenchError(
        f"{path} does not have {baseline.model.name} of width {baseline.regime.width:g}: it is of"
        " an earlier configuration; run the experiment again"
    )
